"""A raw HTTP server on loopback whose every byte, and every silence, is the test's choice."""

import asyncio
import contextlib
import json
import socket
import ssl
import struct
from dataclasses import dataclass
from pathlib import Path

TLS = Path(__file__).parent / "tls"


@dataclass(frozen=True)
class Request:
    """What came in: the request line, the headers in lower case, the body."""

    line: str
    headers: dict
    body: bytes


def http(status=200, content=b"", headers=(), *, reason="Whatever", length=None):
    """Write a whole response; *content* that is not bytes is sent as JSON."""
    if not isinstance(content, bytes):
        content = json.dumps(content).encode()
        headers = {"content-type": "application/json"} | dict(headers)
    lines = [f"HTTP/1.1 {status} {reason}"]
    lines += [f"{name}: {value}" for name, value in dict(headers).items()]
    lines += [f"content-length: {len(content) if length is None else length}", "", ""]
    return "\r\n".join(lines).encode() + content


def error(kind, message="It does not matter.", *, status=400, headers=()):
    """Write the API's own kind of refusal."""
    fields = {"success": False, "error": {"type": kind, "message": message}}
    return http(status, fields, headers)


async def silence(_, writer):
    """Never respond."""
    del writer
    await asyncio.Event().wait()


async def reset(_, writer):
    """Reset the connection without a byte of a response."""
    linger = struct.pack("ii", 1, 0)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    writer.transport.abort()


async def close(_, writer):
    """Close the connection without a byte of a response."""
    writer.close()


def then(first, after):
    """Send the bytes *first*, then do *after*."""

    async def reply(reader, writer):
        writer.write(first)
        await writer.drain()
        await after(reader, writer)

    return reply


async def flood(_, writer):
    """Send white space for ever."""
    while True:
        writer.write(b" " * 65536)
        await writer.drain()


def drip(content, every=0.005):
    """Send *content* one byte at a time, for ever."""

    async def reply(_, writer):
        while True:
            for byte in content:
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(every)

    return reply


def tls_context(certificate):
    """Let a server show one of the certificates in `tls`, which nobody trusts but who is told."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(TLS / certificate, TLS / "localhost.key")
    return context


class RawServer:
    """Gives its *replies* (bytes or coroutines) in turn, the last one again and again."""

    def __init__(self, *replies, certificate=None):
        self.replies = list(replies)
        self.requests = []
        self.connections = 0
        self.requested = asyncio.Event()
        self._tasks = set()
        self._tls = tls_context(certificate) if certificate else None

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def url(self):
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    async def _serve(self, reader, writer):
        self._tasks.add(asyncio.current_task())
        self.connections += 1
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                while not writer.is_closing():
                    await self._respond(reader, writer)
        except asyncio.CancelledError:
            pass
        finally:
            writer.transport.abort()

    async def _respond(self, reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        pairs = (line.partition(":") for line in head[1:] if line)
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        self.requests.append(Request(head[0], headers, body))
        self.requested.set()
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        if callable(reply):
            await reply(reader, writer)
        else:
            writer.write(reply)
            await writer.drain()

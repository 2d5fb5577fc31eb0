"""Why there was no connection, said of real ones that fail."""

import asyncio
import contextlib
import errno
import socket
import ssl

import httpx
import pytest
from harness.program import free_port
from harness.raw_server import TLS, RawServer, close, http, silence

from monitor.core.secret import Secret
from monitor.net.failure import connect_failure, explain
from monitor.net.http import open_http
from monitor.net.proxy import Proxies, always
from monitor.net.tls import tls_context

PASSWORD = "s3cr3t"


async def failure(url, *, ca_file=None, proxy=None):
    """Ask for *url*; return why there was no connection, sure that it holds no address."""
    proxies = always("proxy", Secret(proxy)) if proxy else Proxies({})
    async with open_http(proxies=proxies, tls_context=tls_context(ca_file)) as client:
        with pytest.raises(httpx.HTTPError) as caught:
            await client.get(url)
    words = connect_failure(caught.value)
    assert not {"127.0.0.1", "localhost", PASSWORD, "invalid"} & set((words or "").split())
    return words


@contextlib.asynccontextmanager
async def greeting(words):
    """A server that says *words* first, as those of mail do."""

    async def greet(_, writer):
        writer.write(words)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def test_a_port_where_nothing_listens():
    assert await failure(f"http://127.0.0.1:{free_port()}") == (
        "the connection was refused; nothing may listen on this port"
    )


@pytest.mark.parametrize(
    ("certificate", "is_trusted", "words"),
    [
        ("localhost.pem", False, "its certificate is signed by an authority that is unknown here"),
        ("expired.pem", True, "its certificate has expired"),
        ("elsewhere.pem", True, "its certificate is for another name"),
    ],
)
async def test_a_certificate_that_is_not_right(certificate, is_trusted, words):
    async with RawServer(http(200), certificate=certificate) as server:
        reason = await failure(server.url, ca_file=TLS / certificate if is_trusted else None)

    assert reason.startswith(words)


@pytest.mark.parametrize("words", [b"220 mail ready\r\n", b"HTTP/1.1 400 Bad Request\r\n\r\n"])
async def test_a_port_that_does_not_begin_with_tls(words):
    async with greeting(words) as port:
        reason = await failure(f"https://127.0.0.1:{port}")

    assert reason.startswith("this port does not begin with TLS")


async def test_what_a_caller_says_of_a_port_without_tls_is_said():
    async with greeting(b"220 mail ready\r\n") as port:
        with pytest.raises(ssl.SSLError) as caught:
            await asyncio.open_connection("127.0.0.1", port, ssl=tls_context())

    assert explain(caught.value, plain="try tls: starttls") == "try tls: starttls"


@pytest.mark.parametrize(
    ("status", "words"),
    [(407, "it wants a login"), (403, "it has to allow"), (502, "it could not reach the server")],
)
async def test_a_proxy_that_refuses(status, words):
    async with RawServer(http(status, b""), close) as proxy:
        url = f"http://user:{PASSWORD}@127.0.0.1:{proxy.port}"
        reason = await failure("https://example.invalid", proxy=url)

    assert reason.startswith(f"the proxy answered HTTP {status}; {words}")


async def test_a_proxy_that_is_not_there():
    url = f"http://user:{PASSWORD}@127.0.0.1:{free_port()}"

    for target in ("http://example.invalid", "https://example.invalid"):
        assert await failure(target, proxy=url) == (
            "the proxy could not be reached: "
            "the connection was refused; nothing may listen on this port"
        )


async def test_what_happened_on_a_connection_is_another_matter():
    async with RawServer(close) as server:
        assert await failure(server.url) is None


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (socket.gaierror(socket.EAI_NONAME, "x"), "its name could not be resolved"),
        (socket.gaierror(socket.EAI_AGAIN, "x"), "its name could not be looked up; check the DNS"),
        (OSError(errno.ENETUNREACH, "x"), "there is no route to it"),
        (OSError(errno.EADDRNOTAVAIL, "x"), "there is no route to it"),
        (PermissionError(errno.EPERM, "x"), "this host forbids the connection"),
        (OSError(errno.EMFILE, "x"), "no file descriptors are left"),
        (ConnectionResetError(errno.ECONNRESET, "x"), "the connection was closed at once"),
        (ConnectionAbortedError("10.1.2.3"), "the connection was closed at once"),
        (OSError(errno.EBUSY, "x"), "Device or resource busy"),
        (TimeoutError(), "no connection in time"),
        (TimeoutError(errno.ETIMEDOUT, "x"), "no connection in time"),
        (OSError("Multiple exceptions: 10.1.2.3"), "none of its addresses accepts a connection"),
        (ValueError("10.1.2.3"), "no connection (ValueError)"),
    ],
)
def test_every_error_has_words_of_its_own(error, words):
    wrapped = RuntimeError("10.1.2.3")
    wrapped.__cause__ = error

    assert explain(error).startswith(words)
    if not isinstance(error, ValueError):
        assert explain(wrapped) == explain(error)
    assert "10.1.2.3" not in explain(error)


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("TLSV1_ALERT_PROTOCOL_VERSION", "it offers old versions of TLS only"),
        ("TLSV13_ALERT_CERTIFICATE_REQUIRED", "it asks for a certificate of ours"),
        ("record layer failure", "this port does not begin with TLS"),
        ("SSLV3_ALERT_HANDSHAKE_FAILURE", "could be made (sslv3 alert handshake failure)"),
        ("http://10.1.2.3", "no TLS connection could be made"),
        ("", "no TLS connection could be made"),
    ],
)
def test_tls_that_fails_says_how(reason, words):
    error = ssl.SSLError(1, "10.1.2.3")
    error.reason = reason

    assert words in explain(error)
    assert "10.1.2.3" not in explain(error)


async def test_silence_is_said_to_be_that(monkeypatch):
    monkeypatch.setattr("monitor.net.http.CONNECT_TIMEOUT", 0.2)
    async with RawServer(silence) as server:  # it never begins with TLS
        reason = await failure(f"https://127.0.0.1:{server.port}")

    assert reason.startswith("no connection in time")

"""The way of a request in and of its answer out, whole or broken by a fault.

What is broken is really broken: the server hands the connection's transport to the application in
the scope's extensions, so that a reset is a TCP reset and a truncation an early end.
"""

import asyncio
import socket
import struct
from typing import Final

from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive, Scope, Send

from .api import JSON, Answer, Call, answer, body_keys
from .faults import Fault
from .world import World

TRANSPORT: Final = "monitor.simulator.transport"
BODYLESS: Final = frozenset({204, 304})


class Edge:
    """The ASGI application of everything that is neither control nor a session's page."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive)
        try:
            body = await request.body()
        except ClientDisconnect:
            return
        path: str = scope["path"]
        token = request.headers.get("linked-api-token", "").strip() or None
        call = Call(
            verb=request.method,
            path=path,
            method=path.removeprefix("/admin/"),
            token=token,
            content_type=request.headers.get("content-type", ""),
            body=body,
        )
        owner = self._world.owner(token)
        name = None if owner is None else owner.name
        entry = self._world.journal.record(
            at=self._world.now(),
            verb=call.verb,
            method=call.method,
            customer=name,
            token_sent=token is not None,
            client=request.headers.get("client"),
            body_keys=body_keys(body),
        )
        fault = self._world.faults.meet(name, call.method)
        executed = answer(self._world, call) if fault is None or fault.executes else None
        given = executed if fault is None else replaced(executed, fault)
        assert given is not None
        entry.fault = None if fault is None else fault.kind
        if await deliver(given, fault, scope, receive, send):
            entry.status = given.status


async def deliver(
    answer: Answer, fault: Fault | None, scope: Scope, receive: Receive, send: Send
) -> bool:
    """Send *answer* the way *fault* has it; tell whether it went out whole."""
    if fault is not None and fault.delay and await _gone(receive, fault.delay):
        return False
    match None if fault is None else fault.kind:
        case "hang":
            await _gone(receive, None)
            return False
        case "reset" | "truncate" as kind:
            await _start(answer, send, announced=max(2, len(answer.body)))
            half = answer.body[: len(answer.body) // 2]
            await send({"type": "http.response.body", "body": half, "more_body": True})
            _tear(scope, reset=kind == "reset")
            await _gone(receive, None)
            return False
        case "drip":
            assert fault is not None
            return await _drip(answer, fault, receive, send)
        case _:
            await _start(answer, send, announced=len(answer.body))
            await send({"type": "http.response.body", "body": answer.body})
            return True


def replaced(answer: Answer | None, fault: Fault) -> Answer:
    """Put what *fault* says in place of the true *answer* (None: the call was not executed)."""
    true = answer or Answer(200, b"")
    own = {name.lower(): text for name, text in fault.headers if name.lower() != "content-length"}
    headers = dict(true.headers if fault.body is None else (JSON,)) | own
    status = true.status if fault.status is None else fault.status
    body = true.body if fault.body is None else fault.body
    if fault.kind == "respond" and fault.body is None:
        body = b""
    return Answer(status, b"" if status in BODYLESS else body, tuple(headers.items()))


async def _start(answer: Answer, send: Send, *, announced: int) -> None:
    headers = [(name.encode("latin-1"), text.encode("latin-1")) for name, text in answer.headers]
    if answer.status not in BODYLESS:
        headers.append((b"content-length", str(announced).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})


async def _drip(answer: Answer, fault: Fault, receive: Receive, send: Send) -> bool:
    await _start(answer, send, announced=len(answer.body))
    rest = answer.body
    while len(rest) > fault.piece:
        piece, rest = rest[: fault.piece], rest[fault.piece :]
        await send({"type": "http.response.body", "body": piece, "more_body": True})
        if await _gone(receive, fault.interval):
            return False
    await send({"type": "http.response.body", "body": rest})
    return True


def _tear(scope: Scope, *, reset: bool) -> None:
    transport: asyncio.Transport | None = scope.get("extensions", {}).get(TRANSPORT)
    if transport is None:
        raise ConnectionResetError("the fault needs a real connection; use serve()")
    if reset:
        # Lingering for no time at all makes the kernel answer with RST instead of FIN.
        linger = struct.pack("ii", 1, 0)
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        transport.abort()
    else:
        transport.close()


async def _gone(receive: Receive, seconds: float | None) -> bool:
    """Wait *seconds* (None: for ever); stop early and say so if the connection ends."""
    try:
        async with asyncio.timeout(seconds):
            while (await receive())["type"] != "http.disconnect":
                pass
    except TimeoutError:
        return False
    return True

"""The ASGI application: requests come in, answers go out, whole or broken by a fault.

The server hands the connection's transport to the application in the scope's extensions, so that a
reset is a TCP reset and a truncation an early end of the connection.
"""

import asyncio
import socket
import struct
from typing import Final

from starlette.requests import ClientDisconnect, Request
from starlette.routing import Router
from starlette.types import ASGIApp, Receive, Scope, Send

from .actions import Simulator
from .api import JSON, Answer, Call, answer, body_keys
from .control import control
from .faults import Fault
from .login_page import login_page
from .request_log import LoggedRequest
from .runtime import timestamp
from .state import State

TRANSPORT: Final = "monitor.simulator.transport"
NO_FAULT: Final = Fault(kind="delay")  # by no time at all
BODYLESS: Final = frozenset({204, 304})


def application(simulator: Simulator) -> ASGIApp:
    """Make the application to serve."""
    routes = [control(simulator), login_page(simulator)]
    return Router(routes, redirect_slashes=False, default=faulty_api(simulator))


def faulty_api(state: State) -> ASGIApp:
    """Make the application of everything that is neither control nor a login page."""

    async def respond(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            body = await request.body()
        except ClientDisconnect:
            return
        call = Call(
            verb=request.method,
            path=scope["path"],
            token=request.headers.get("linked-api-token", "").strip() or None,
            content_type=request.headers.get("content-type", ""),
            body=body,
        )
        owner = state.owner(call.token)
        customer = None if owner is None else owner.name
        logged = LoggedRequest(
            at=timestamp(state.now()),
            verb=call.verb,
            method=call.method,
            customer=customer,
            token_sent=call.token is not None,
            client=request.headers.get("client"),
            body_keys=body_keys(body),
        )
        state.request_log.add(logged)
        fault = state.faults.match(customer, call.method)
        logged.fault = None if fault is None else fault.kind
        fault = fault or NO_FAULT
        response = replaced(answer(state, call) if fault.executes else Answer(200, b""), fault)
        if await deliver(response, fault, scope, receive, send):
            logged.status = response.status

    return respond


async def deliver(answer: Answer, fault: Fault, scope: Scope, receive: Receive, send: Send) -> bool:
    """Send *answer*, broken as *fault* says; return whether it went out whole."""
    if fault.delay and await _gone(receive, fault.delay):
        return False
    match fault.kind:
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
        case _:
            return await _send_whole(answer, fault, receive, send)


def replaced(answer: Answer, fault: Fault) -> Answer:
    """Put what *fault* says in place of the true *answer*."""
    headers = dict(answer.headers if fault.body is None else (JSON,))
    headers |= {name.lower(): text for name, text in fault.headers.items()}
    headers.pop("content-length", None)
    status = answer.status if fault.status is None else fault.status
    body = answer.body if fault.body is None else fault.body
    if status in BODYLESS or (fault.kind == "respond" and fault.body is None):
        body = b""
    return Answer(status, body, tuple(headers.items()))


async def _start(answer: Answer, send: Send, *, announced: int) -> None:
    headers = [(name.encode("latin-1"), text.encode("latin-1")) for name, text in answer.headers]
    if answer.status not in BODYLESS:
        headers.append((b"content-length", str(announced).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})


async def _send_whole(answer: Answer, fault: Fault, receive: Receive, send: Send) -> bool:
    await _start(answer, send, announced=len(answer.body))
    rest = answer.body
    while fault.kind == "drip" and len(rest) > fault.piece:
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

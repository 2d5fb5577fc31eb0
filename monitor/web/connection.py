"""One connection: uvicorn's, which no stranger can keep from others.

- Who is idle gives way to a newcomer, at a peer's limit and at the limit of all. Where nobody is,
  the newcomer may ask for `/healthz` only: health has no limit.
- A request has to arrive, and its answer to end, within TRANSFER_TIMEOUT.
- Who reads answers slower than MIN_RATE is cut off once PATIENCE is used up.
- What could be read in two ways is refused, and what is sent after an answer is not read.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Iterable
from typing import Any, Final

import h11
from starlette.responses import JSONResponse
from starlette.types import Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from .peer import peer_of
from .requests import Requests

TRANSFER_TIMEOUT: Final = 75.0
"""Seconds that a connection may wait for a whole request, and that its response may take."""

PATIENCE: Final = 5.0
"""Seconds that a reader of an answer may be behind MIN_RATE."""

MIN_RATE: Final = 64 * 1024
"""Bytes that a reader takes in a second."""

MAX_CONNECTIONS: Final = 100
MAX_PEER_CONNECTIONS: Final = 50

LOGGER: Final = "uvicorn.connection"

_CLOSE: Final = (b"connection", b"close")
_CROWDED: Final = JSONResponse(
    {"error": "too many connections at once"},
    503,
    {"Cache-Control": "no-store", "Retry-After": "5"},
)


class Connection(H11Protocol):
    """uvicorn's connection within the limits of this module."""

    cycle: Any  # None until the first request

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.conn = Requests()
        self.logger = logging.getLogger(LOGGER)
        self.peer = ""
        self.idle_since = 0.0
        self._served = self.app
        self.app = self._answer
        self._crowded = False
        self._deadline: asyncio.TimerHandle | None = None
        self._stalled: asyncio.TimerHandle | None = None
        self._patience = PATIENCE
        self._behind_since = 0.0

    @property
    def idle(self) -> bool:
        """Whether no request is being answered."""
        return self.cycle is None or self.cycle.response_complete

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # a TCP one always
        """Find room for the newcomer, and start the time limit of its first request."""
        others = [each for each in self.connections if isinstance(each, Connection)]
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=0)  # writing is paused while anything is unsent
        self.peer = peer_of(self.client)
        self._crowded = not _make_room(self.peer, others)
        self._wait()

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def tell(message: Message) -> None:
            unread = self.conn.their_state is h11.SEND_BODY
            if message["type"] == "http.response.start" and (unread or self._crowded):
                message = {**message, "headers": [*message.get("headers", ()), _CLOSE]}
            await self.flow.drain()
            earned = len(message.get("body", b"")) / MIN_RATE
            self._patience = min(PATIENCE, self._patience + earned)
            await send(message)

        refused = self._crowded and scope["path"] != "/healthz"
        app: Any = _CROWDED if refused else self._served
        await app(scope, receive, tell)

    def handle_events(self) -> None:
        """Handle what was received; from a complete request on, the response is timed."""
        before = self.cycle
        super().handle_events()
        if self.cycle is not before:
            self._restart_timeout()

    def send_400_response(self, msg: str) -> None:
        """Refuse what was received, in place of any other answer; one that began breaks off."""
        if self.cycle:
            self.cycle.disconnected = True
        if self.conn.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
            super().send_400_response(msg)
        else:
            self.transport.close()

    def on_response_complete(self) -> None:
        """Begin to wait for the next request."""
        self._wait()
        super().on_response_complete()

    def pause_writing(self) -> None:
        """Wait for a reader who is behind, as long as there is patience left."""
        super().pause_writing()
        self._behind_since = self.loop.time()
        self._stalled = self.loop.call_later(self._patience, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on: all that was handed over is taken."""
        super().resume_writing()
        self._patience -= self.loop.time() - self._behind_since
        if self._stalled:
            self._stalled.cancel()

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the time limits."""
        super().connection_lost(exc)
        for timer in (self._deadline, self._stalled):
            if timer:
                timer.cancel()

    def _wait(self) -> None:
        self.idle_since = self.loop.time()
        self._restart_timeout()

    def _restart_timeout(self) -> None:
        if self._deadline:
            self._deadline.cancel()
        self._deadline = self.loop.call_later(TRANSFER_TIMEOUT, self.transport.abort)


def _make_room(newcomer: str, connections: Iterable[Connection]) -> bool:
    """Let one who is idle give way where the peer *newcomer*, or all, have enough; or say no.

    Of all, it is one of the peer that has the most; of a peer's, the one that is idle the longest.
    """
    present = [each for each in connections if not each.transport.is_closing()]
    of_peer = Counter(each.peer for each in present)
    if of_peer[newcomer] >= MAX_PEER_CONNECTIONS:
        present = [each for each in present if each.peer == newcomer]
    elif len(present) < MAX_CONNECTIONS:
        return True
    idle = [each for each in present if each.idle]
    if not idle:
        return False
    min(idle, key=lambda each: (-of_peer[each.peer], each.idle_since)).transport.close()
    return True

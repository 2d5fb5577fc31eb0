"""Receivers that keep books: what arrived when, from which monitor, and what they answered."""

import asyncio
import json
import re
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass

from harness.raw_server import RawServer, http, reset, silence

NAMES = re.compile(r"\bw\d+ a\d+\b")
"""How accounts are called, so that a message that has no ids says whom it is about."""


NO_ANSWER = {"silent": silence, "away": reset}


@dataclass
class Arrival:
    """A request: *at* when it was whole, *by* which monitor; *answered* with what, and when.

    *key* says which message it is: of a webhook its id, of a post whom it is about.
    """

    at: float
    by: str
    key: object
    event: dict | None
    resolved: bool
    status: int | None = None
    answered_at: float | None = None

    @property
    def is_accepted(self):
        return self.status == 200


class Book(RawServer):
    """A receiver; the path of its address names the monitor that uses it.

    It is *well*, answers that it is *failing*, is *silent*, or *away*.
    """

    def __init__(self, name, *, groups):
        super().__init__(self._take)
        self.name, self.groups = name, groups
        self.arrivals = []
        self.mood = "well"

    async def become(self, mood):
        before, self.mood = self.mood, mood
        if mood == "away" != before:
            self._server.close()
            await asyncio.sleep(1)  # or what was answered would be lost on the way
            for task in self._tasks:
                task.cancel()
        elif before == "away" != mood:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    def accepted(self):
        return [arrival for arrival in self.arrivals if arrival.is_accepted]

    async def _take(self, reader, writer):
        arrival = self._note(self.requests.pop())
        self.arrivals.append(arrival)
        await asyncio.sleep(0.05)  # as over a network: so that something is in flight
        if self.mood in NO_ANSWER:
            await NO_ANSWER[self.mood](reader, writer)
            return
        arrival.status = 500 if self.mood == "failing" else 200
        arrival.answered_at = time.monotonic()
        writer.write(http(arrival.status, b"ok"))

    def _note(self, request):
        by, now = request.line.split()[1].strip("/"), time.monotonic()
        body = json.loads(request.body)
        if self.groups:
            words = json.dumps(body, ensure_ascii=False)
            key = frozenset(NAMES.findall(words))
            return Arrival(now, by, key, None, "active again" in words)
        is_resolved = body["type"] == "incident.resolved"
        return Arrival(now, by, request.headers["webhook-id"], body, is_resolved)


@asynccontextmanager
async def books():
    """Run three receivers: one that takes many incidents in a message, two programs."""
    async with (
        Book("chat", groups=True) as chat,
        Book("crm", groups=False) as crm,
        Book("pager", groups=False) as pager,
    ):
        yield {book.name: book for book in (chat, crm, pager)}

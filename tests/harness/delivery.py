"""Deliveries to a receiver of the test's own, everything else real."""

import asyncio
from typing import ClassVar

from harness.core import make_recorder
from harness.store import StoreHarness
from monitor.core.inventory import Inventory
from monitor.core.policy import DeliveryPolicy
from monitor.core.receipt import Receipt
from monitor.work.deliver import Deliverer, DeliveryRules

from .metrics import page_of


class Pager:
    """A notifier as a third party might write one: it does what the test told it to."""

    groups: ClassVar[bool] = True

    def __init__(self):
        self.messages = []
        self.replies = []
        self.entered = asyncio.Event()

    async def send(self, message):
        self.messages.append(message)
        reply = self.replies.pop(0) if self.replies else None
        if isinstance(reply, Exception):
            raise reply
        if reply == "hang":
            self.entered.set()
            await asyncio.Event().wait()
        return Receipt()


class DeliveryHarness(StoreHarness):
    """Commits polls, and has one deliverer."""

    def __init__(self, store):
        super().__init__(store)
        self.pager = Pager()
        recorder = make_recorder(self, {"slack": "slack"}, jitter=1.0)
        self.metrics = recorder.metrics
        self.deliverer = Deliverer(
            self.receiver("slack"),
            self.pager,
            DeliveryRules(DeliveryPolicy(), Inventory({"acme": {}})),
            recorder,
            self.process,
        )

    async def send(self, *, after=0):
        self.now += after
        self.seconds += after / 1_000_000
        claimed = await self.deliverer.claim()
        settled = list(claimed.ended)
        if claimed.message is not None:
            settled += await self.deliverer.send(claimed, claimed.message)
        elif not settled:
            self.next_at = claimed.next_at
            return None
        return [(str(sent.event), str(sent.outcome)) for sent in settled]

    def metric(self, line):
        return line in page_of(self.metrics)

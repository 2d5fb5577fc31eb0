"""Deliveries: a receiver of the test's own, everything else real."""

import asyncio
import math
from typing import ClassVar

import pytest
from harness.core import HOUR, listed_account, signed_out
from harness.store import StoreHarness

from monitor import __version__
from monitor.core.duration import Duration
from monitor.core.errors import AttemptReason, DeliveryError
from monitor.core.inventory import Inventory
from monitor.core.policy import DeliveryPolicy
from monitor.core.runtime import Runtime
from monitor.metrics import Metrics
from monitor.store.claims import View
from monitor.work.deliver import Deliverer, DeliveryRules
from monitor.work.record import Recorder

SLOW = DeliveryError(
    "try later",
    reason=AttemptReason.RATE_LIMITED,
    retry_after=Duration.parse("10m"),
)


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


class DeliveryHarness:
    """A desk with one deliverer."""

    def __init__(self, store):
        self.harness = StoreHarness(store)
        self.pager = Pager()
        self.seconds = 0.0
        self.metrics = Metrics(version=__version__)
        self.metrics.declare(workspaces=["acme"], receivers={"slack": "slack"})
        self.deliverer = Deliverer(
            self.harness.receiver("slack"),
            self.pager,
            rules=DeliveryRules(DeliveryPolicy(), View(Inventory({"acme": {}}), lambda _: True)),
            recorder=Recorder(
                store,
                self.metrics,
                Runtime(
                    now=lambda: self.harness.now,
                    monotonic=lambda: self.seconds,
                    jitter=lambda: 1.0,
                    new_id=self.harness.new_id,
                ),
            ),
        )

    async def deliver(self, *, after=0):
        self.harness.now += after
        self.seconds += after / 1_000_000
        settled = await self.deliverer.deliver()
        return settled and [(str(one.event), str(one.outcome)) for one in settled]

    def metric(self, line):
        return line in self.metrics.render().decode()


@pytest.fixture
def post(store):
    return DeliveryHarness(store)


async def test_what_is_queued_is_sent_and_settled(post):
    post.harness.poll(signed_out())

    assert await post.deliver() == [("opened", "delivered")]
    assert await post.deliver() is None
    assert post.pager.messages[0].notifications[0].event == "opened"
    assert post.metric("linkedapi_notification_latency_seconds_count")


async def test_what_was_sent_is_recorded_though_the_database_was_failing(post, store):
    post.harness.poll(signed_out())
    post.pager.replies = ["hang"]
    sending = asyncio.create_task(post.deliver())
    await post.pager.entered.wait()
    store._circuit_open_until = math.inf
    sending.cancel()  # as at the end; it is settled all the same

    with pytest.raises(asyncio.CancelledError):
        await sending

    assert post.harness.heard() == [["slack"]]


async def test_an_error_is_tried_again_under_the_same_id(post):
    post.harness.poll(signed_out())
    post.pager.replies = [DeliveryError("HTTP 500", reason=AttemptReason.SERVER)]

    assert await post.deliver() == []
    assert await post.deliver(after=HOUR) == [("opened", "delivered")]
    assert len({one.id for one in post.pager.messages}) == 1


async def test_a_receiver_that_asks_for_time_is_left_alone_altogether(post):
    post.harness.poll(listed_account("a"), listed_account("b"))
    post.harness.poll(signed_out("a"), listed_account("b"))
    post.pager.replies = [SLOW]
    await post.deliver()

    post.harness.poll(signed_out("a"), signed_out("b"), after=1)

    assert await post.deliver() is None
    assert await post.deliverer.due_in(HOUR) == 600
    assert await post.deliver(after=Duration.parse("11m")) == [("opened", "delivered")]


async def test_a_bug_in_a_notifier_does_not_lose_the_alert_nor_show_its_text(post, capsys):
    post.harness.poll(signed_out())
    post.pager.replies = [ValueError("https://hooks.example.com/secret")]

    assert await post.deliver() == []

    assert "secret" not in capsys.readouterr().out
    assert await post.deliver(after=HOUR) == [("opened", "delivered")]


async def test_a_send_that_was_cut_short_counts_as_heard_and_is_repeated(post):
    post.harness.poll(signed_out())
    post.pager.replies = ["hang"]
    task = asyncio.create_task(post.deliverer.deliver())
    await post.pager.entered.wait()

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert post.harness.heard() == [["slack"]]
    assert await post.deliver(after=HOUR) == [("opened", "delivered")]
    assert len({one.id for one in post.pager.messages}) == 1


async def test_what_is_dead_is_said_loudly(post, capsys):
    post.harness.poll(signed_out())
    post.pager.replies = [
        DeliveryError("HTTP 404", reason=AttemptReason.CLIENT, permanent=True),
    ]

    assert await post.deliver() == [("opened", "dead")]

    assert "given up" in capsys.readouterr().out
    assert post.metric('outcome="dead"')


async def test_a_failing_receiver_is_logged_once_and_once_when_it_works_again(post, capsys):
    post.harness.poll(signed_out())
    post.pager.replies = [DeliveryError("HTTP 500", reason=AttemptReason.SERVER) for _ in range(3)]

    for _ in range(4):
        await post.deliver(after=HOUR)

    said = capsys.readouterr().out
    assert said.count("will try again") == 1
    assert said.count("works again") == 1


async def test_what_is_cancelled_on_the_way_is_reported(post):
    post.harness.poll(signed_out())
    claimed = post.harness.claim()
    post.harness.poll(listed_account(), after=1)
    post.harness.settle(claimed, DeliveryError("HTTP 500", reason=AttemptReason.SERVER))

    assert await post.deliver(after=HOUR) == [("opened", "cancelled"), ("resolved", "cancelled")]


async def test_the_wait_is_until_the_next_retry_or_as_long_as_is_allowed(post):
    assert await post.deliverer.due_in(HOUR) == HOUR.seconds
    post.harness.poll(signed_out())
    post.pager.replies = [DeliveryError("HTTP 500", reason=AttemptReason.SERVER)]
    await post.deliver()

    assert await post.deliverer.due_in(HOUR) == 5

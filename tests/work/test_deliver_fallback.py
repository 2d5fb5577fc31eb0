"""Deliveries: what a receiver is not told, and who is told instead."""

import asyncio
from dataclasses import replace

import pytest
from harness.core import HOUR, frozen, listed_account, signed_out
from harness.delivery import DeliveryHarness
from harness.leases import REPLICA
from harness.store import DAY, GONE, REFUSED, WRONG

from monitor.core.route import Receiver
from monitor.store import clock
from monitor.store.db import StoreError
from monitor.store.undelivered import GROUP_WAIT
from monitor.work.deliver import Deliverer


@pytest.fixture
def harness(store):
    return DeliveryHarness(store)


async def test_what_is_dead_is_said_loudly_and_wakes_the_fallback(harness, capsys):
    woken, deliverer = [], harness.deliverer
    deliverer.recorder = replace(deliverer.recorder, wake=woken.append)
    deliverer.rules = replace(deliverer.rules, fallback=Receiver("mail"))
    harness.poll(signed_out())
    harness.pager.replies = [WRONG]

    assert await harness.send() == [("opened", "dead")]

    assert ["mail"] in woken
    assert "given up" in capsys.readouterr().out
    assert harness.metric('outcome="dead"} 1')


@pytest.mark.case("receiver to be mended")
async def test_the_fallback_hears_at_once_what_a_receiver_refuses_and_it_later_if_it_is_mended(
    harness,
):
    harness.deliverer.rules = replace(harness.deliverer.rules, fallback=Receiver("mail"))
    ids = [f"a{number}" for number in range(3)]
    harness.poll(*map(listed_account, ids))
    harness.poll(*map(frozen, ids))
    harness.pager.replies = [GONE, GONE]

    assert await harness.send() == []
    assert await harness.send(after=1) == []
    harness.poll(*map(frozen, ids), signed_out("late"), after=1)
    assert await harness.send(after=1) is None  # paused, but not the fallback's copies
    copies = harness.claim("mail", after=GROUP_WAIT).message.notifications
    assert {(copy.event, *copy.undelivered[:2]) for copy in copies} == {
        ("opened", "slack", "HTTP 404")
    }
    assert [copy.account.id for copy in copies] == [*ids, "late"]

    harness.poll(listed_account("a0"), *map(frozen, ids[1:]), signed_out("late"))
    told = [await harness.send(after=DAY // 2) for _ in range(3)]
    assert told == [[("opened", "delivered")]] * 3
    assert await harness.send() is None
    assert harness.metric('linkedapi_receiver_failing{receiver="slack"} 0.0')


@pytest.mark.case("database away while a message leaves")
async def test_what_is_dead_is_said_though_the_database_fails_right_after_it_was_noted(
    harness, monkeypatch, capsys
):
    woken, deliverer = [], harness.deliverer
    deliverer.recorder = replace(deliverer.recorder, wake=woken.append)
    deliverer.rules = replace(deliverer.rules, fallback=Receiver("mail"))
    harness.poll(signed_out())
    harness.pager.replies = [REFUSED]

    async def fail():
        raise StoreError("the database is away")

    monkeypatch.setattr(Deliverer, "_expire", lambda _: fail())
    sent = harness.send(after=DAY)
    with pytest.raises(StoreError):
        await asyncio.wait_for(sent, 5)

    assert ["mail"] in woken
    assert "given up" in capsys.readouterr().out
    assert harness.metric('outcome="dead"} 1')
    assert harness.column("SELECT number FROM attempt") == [1]


@pytest.mark.case("receiver to be mended")
async def test_the_fallback_hears_nothing_of_what_was_over_when_a_receiver_refused_the_rest(
    harness,
):
    harness.deliverer.rules = replace(harness.deliverer.rules, fallback=Receiver("mail"))
    harness.poll(frozen("over"), frozen("open"), listed_account("well"))
    harness.poll(listed_account("over"), frozen("open"), listed_account("well"))
    harness.pager.replies = [GONE]

    assert await harness.send() == []
    assert (await harness.deliverer.claim()).more
    assert not (await harness.deliverer.claim()).more

    (copy,) = harness.claim("mail", after=GROUP_WAIT).message.notifications
    assert copy.account.id == "open"
    assert [told for told in harness.states() if "mail" in told] == [
        ("mail", "opened", "sending", None)
    ]


@pytest.mark.case("receiver to be mended", "clock back")
async def test_the_fallback_hears_of_what_comes_after_the_clock_went_back_too(harness):
    harness.deliverer.rules = replace(harness.deliverer.rules, fallback=Receiver("mail"))
    harness.poll(signed_out("a1"))
    harness.pager.replies = [GONE, GONE]
    assert await harness.send() == []
    assert (await harness.deliverer.claim()).more
    harness.run(lambda tx: clock.set_clock(tx, REPLICA, harness.now))

    harness.now -= HOUR
    harness.run(lambda tx: clock.set_clock(tx, REPLICA, harness.now))
    harness.poll(signed_out("a1"), signed_out("a2"), after=1)
    await harness.send()
    await harness.deliverer.claim()

    copies = "SELECT subject FROM notification WHERE receiver = 'mail' ORDER BY subject"
    assert harness.column(copies) == ["a1", "a2"]

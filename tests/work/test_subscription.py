"""Asking how a workspace is paid for, end to end in one process."""

import asyncio

import pytest
import structlog
from harness.answers import api_error, html_page
from harness.core import HOUR, MINUTE
from harness.faults import failing_writes, lost_answers
from harness.poll import poll_harness
from sqlalchemy import text

from monitor.core.duration import Duration
from monitor.core.model import SUBSCRIPTION
from monitor.core.policy import IncidentPolicy
from monitor.simulator import Assumptions, Fault
from monitor.store import incidents
from monitor.store.db import LeaseLostError, StoreError
from monitor.work import subscription

STATUS, SEATS = "subscription.getStatus", "subscription.getSeats"
OPENED, CHANGED, RESOLVED = ((event, "subscription") for event in ("opened", "changed", "resolved"))
FROZEN = ("opened", "frozen")
HALF_HOUR = Duration.parse("30m")


@pytest.fixture
async def paid(tmp_path):
    """Three accounts, all well and paid for, polled once; that is asked every 30 min."""
    assumptions = Assumptions(past_due_freezes=False, ended_freezes=False)
    async with poll_harness(
        tmp_path, accounts=3, assumptions=assumptions, paying=HALF_HOUR
    ) as harness:
        assert await harness.poll() == []
        yield harness


async def ask(harness):
    """Ask an hour later, without a poll; return what happened."""
    harness.seconds += HOUR.seconds
    decision = await harness.poller.check_subscription()
    return [(str(event.type), str(event.cause)) for event in decision.events] if decision else []


def detail(harness):
    """What is recorded to be wrong."""
    recorded = harness.store.run_now(lambda tx: incidents.load_open(tx, "acme"))
    return SUBSCRIPTION in recorded and recorded[SUBSCRIPTION].detail


async def test_it_is_asked_with_the_first_poll_after_so_long(paid):
    assert [paid.calls(STATUS), paid.calls(SEATS)] == [1, 1]

    await paid.poll(29)
    assert paid.calls(STATUS) == 1
    await paid.poll()
    assert [paid.calls(STATUS), paid.calls(SEATS)] == [2, 2]


async def test_what_is_as_it_was_needs_no_transaction(paid):
    paid.simulator.set_subscription("acme", "past_due")
    assert await paid.poll(after=HOUR) == [OPENED]
    paid.subscription._recorder = None

    assert await ask(paid) == []

    assert paid.calls(STATUS) == 3


async def test_what_a_poll_recorded_of_it_needs_no_transaction_either(paid):
    paid.simulator.set_subscription("acme", "past_due")
    paid.simulator.freeze("acme", "a1")
    assert await paid.poll() == [FROZEN, OPENED]
    paid.subscription._recorder = None

    assert await ask(paid) == []


async def test_what_is_wrong_is_one_incident_from_beginning_to_end(paid):
    paid.simulator.set_subscription("acme", "past_due")
    assert await paid.poll(after=HOUR) == [OPENED]
    assert 'incidents_open{workspace="acme",cause="subscription"} 1' in paid.exposition
    paid.simulator.set_subscription("acme", "past_due", cancel_at_period_end=True)
    assert await paid.poll(after=HOUR) == [CHANGED]
    paid.simulator.set_subscription("acme", "active", cancel_at_period_end=True)
    assert await paid.poll(after=HOUR) == []
    assert detail(paid) == "ending"
    paid.simulator.set_subscription("acme", "active")

    assert await paid.poll(after=HOUR) == [RESOLVED]
    assert 'incidents_open{workspace="acme",cause="subscription"} 0' in paid.exposition


async def test_what_was_recorded_before_a_restart_is_not_told_again(paid):
    paid.simulator.set_subscription("acme", "past_due")
    await paid.poll(after=HOUR)

    paid.take()

    assert await paid.poll(after=HOUR) == []
    with failing_writes(paid.store):
        assert await ask(paid) == []


@pytest.mark.case("accounts newly frozen, the subscription asked")
async def test_accounts_that_freeze_are_asked_about_at_once_and_told_with_the_answer(paid):
    paid.simulator.set_subscription("acme", "past_due")
    for account in ("a1", "a2"):
        paid.simulator.freeze("acme", account)

    assert await paid.poll() == [FROZEN, FROZEN, OPENED]

    assert paid.calls(STATUS) == 2
    assert await paid.poll(29) == []
    assert paid.calls(STATUS) == 2
    count = text("SELECT COUNT(*) FROM message")
    assert paid.store.run_now(lambda tx: tx.execute(count).scalar_one()) == 1


async def test_accounts_that_thaw_are_told_with_the_end_of_what_they_froze_for(paid):
    paid.simulator.set_subscription("acme", "past_due")
    paid.simulator.freeze("acme", "a1")
    await paid.poll()
    paid.simulator.set_subscription("acme", "active")
    paid.simulator.recover("acme", "a1")

    assert await paid.poll() == [("resolved", "frozen"), RESOLVED]


@pytest.mark.case("accounts newly frozen, the subscription asked")
async def test_what_froze_is_told_without_an_answer_if_none_comes_in_time(paid, monkeypatch):
    monkeypatch.setattr(subscription, "SUBSCRIPTION_WAIT", Duration.parse("50ms"))
    paid.simulator.faults.add(Fault(kind="hang", method=STATUS))
    paid.simulator.freeze("acme", "a1")

    async with asyncio.timeout(5):
        assert await paid.poll() == [FROZEN]


async def test_a_failure_says_nothing_and_is_asked_again_soon(paid):
    paid.simulator.faults.add(html_page(status=502, method=STATUS, times=1))

    with structlog.testing.capture_logs() as logs:
        assert await paid.poll(after=HOUR) == []
        assert await paid.poll(4) == []
        assert paid.calls(STATUS) == 2
        assert await paid.poll() == []

    assert paid.calls(STATUS) == 3
    assert [line["event"] for line in logs if line["log_level"] == "warning"] == []


@pytest.mark.case("subscription")
async def test_a_token_that_may_not_ask_is_one_line_of_the_log(paid):
    paid.simulator.faults.add(api_error("accessDenied", status=403, method=STATUS))

    with structlog.testing.capture_logs() as logs:
        assert await paid.poll(3, after=HOUR) == []

    (line,) = [line for line in logs if line["log_level"] == "warning"]
    assert line["workspace"] == "acme"
    assert "accessDenied" in line["error"]


async def test_nobody_asks_where_that_is_not_wanted(paid):
    paid.subscription.reconfigure(IncidentPolicy(), paid.routing, paid.source, every=None)
    paid.simulator.set_subscription("acme", "past_due")
    paid.simulator.freeze("acme", "a1")

    assert await paid.poll(3, after=HOUR) == [FROZEN]
    assert paid.calls(STATUS) == 1


@pytest.mark.case("subscription")
async def test_a_list_that_is_refused_opens_it_and_one_that_comes_back_is_asked_about(paid):
    paid.simulator.faults.add(api_error("subscriptionRequired", status=403, times=8))

    assert await paid.poll(8) == [OPENED]
    assert paid.calls(STATUS) == 1
    assert 'linkedapi_workspace_up{workspace="acme"} 0' in paid.exposition
    assert await paid.poll() == [RESOLVED]
    assert paid.calls(STATUS) == 2


async def test_what_could_not_be_written_is_written_with_the_next_answer(paid):
    paid.simulator.set_subscription("acme", "past_due")
    with failing_writes(paid.store), pytest.raises(StoreError):
        await ask(paid)

    assert await paid.poll() == [OPENED]


async def test_what_was_written_though_the_answer_was_lost_is_told_once(paid):
    paid.simulator.set_subscription("acme", "past_due")
    with lost_answers(paid.store), pytest.raises(StoreError):
        await ask(paid)

    assert detail(paid) == "past_due"
    assert await ask(paid) == []


async def test_who_lost_the_workspace_records_nothing(paid):
    paid.simulator.set_subscription("acme", "past_due")
    paid.store.run_now(lambda tx: tx.execute(text("UPDATE workspace SET term = term + 1")))

    with pytest.raises(LeaseLostError):
        await ask(paid)

    assert not detail(paid)


async def test_of_a_workspace_that_cannot_be_read_nobody_asks(paid):
    paid.simulator.faults.add(html_page(status=502, method="accounts.getAll"))

    await paid.poll(2, after=HOUR)

    assert paid.calls(STATUS) == 1


async def test_it_is_first_asked_as_late_as_it_is_told_to(paid):
    paid.subscription.start_after(5 * MINUTE.seconds)

    await paid.poll(4)
    assert paid.calls(STATUS) == 1
    await paid.poll()
    assert paid.calls(STATUS) == 2

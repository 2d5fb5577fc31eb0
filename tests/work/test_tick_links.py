"""Links that rotated, from the poll that saw it to what people are told."""

import pytest
from harness.core import HOUR, MINUTE, listed_account, make_recorder, signed_out
from harness.leases import REPLICA
from harness.store import DAY, PARTLY, REFUSED, TIMEOUT, StoreHarness

from monitor.store import clock, workspaces
from monitor.work.tick import Ticker, TickRules


@pytest.fixture
def harness(store):
    return StoreHarness(store, receivers={"slack": True, "mail": True})


@pytest.fixture
def ticker(harness):
    rules = TickRules(harness.rules.policy, harness.rules.routing, keep=180 * DAY)
    recorder = make_recorder(harness, {"slack": "slack"})
    return Ticker(rules, recorder, term_of=lambda _: harness.term)


async def tick_all(ticker):
    while await ticker.tick():
        pass


def rotate(harness, number, **how):
    harness.poll(signed_out(link=f"https://app.linkedapi.io/c/{number}"), **how)


async def told_meanwhile(harness, ticker, polls, *, after=MINUTE, rotates=False):
    """Poll so often; return what `slack` is told, and the link of each: [(event, link)]."""
    told = []
    for number in range(polls):
        if rotates:
            rotate(harness, f"{harness.now}-{number}", after=after)
        else:
            harness.poll(harness.listed, after=after)
        await tick_all(ticker)
        while (claimed := harness.claim()).message:
            harness.settle(claimed)
            (notification,) = claimed.message.notifications
            told.append((str(notification.event), notification.link.reveal()))
    return told


@pytest.mark.case("link rotates after it was told")
async def test_a_link_that_a_mail_scanner_opened_is_not_the_last_that_people_hear_of(
    harness, ticker
):
    rotate(harness, 1)
    assert harness.deliver() == [("opened", "a1")]
    rotate(harness, 2)
    harness.listed = signed_out(link="https://app.linkedapi.io/c/2")

    assert await told_meanwhile(harness, ticker, 14) == []
    assert await told_meanwhile(harness, ticker, 1) == [
        ("refreshed", harness.listed.session.link.reveal())
    ]
    assert await told_meanwhile(harness, ticker, 43) == []
    assert [event for event, _ in await told_meanwhile(harness, ticker, 1)] == ["reminded"]


@pytest.mark.odd_input("link rotates at each poll")
async def test_a_link_that_rotates_all_the_time_is_told_once_between_two_reminders(harness, ticker):
    rotate(harness, 1)
    harness.deliver_all()

    told = await told_meanwhile(harness, ticker, 62, after=5 * MINUTE, rotates=True)

    assert [event for event, _ in told] == ["refreshed", "reminded"] * 2
    assert len({link for _, link in told}) == 4


async def test_a_link_is_not_told_twice_to_who_heard_late(harness, ticker):
    rotate(harness, 1)
    rotate(harness, 2)
    harness.listed = signed_out(link="https://app.linkedapi.io/c/2")
    for _ in range(10):
        harness.poll(harness.listed)
    assert harness.deliver() == [("opened", "a1")]

    assert await told_meanwhile(harness, ticker, 20) == []
    assert ("slack", "refreshed", "cancelled", "superseded") in harness.states()
    assert harness.deliver_all("mail") == [[("opened", "a1")]], "it has not heard at all"


async def test_an_account_that_works_again_has_no_link_to_tell(harness, ticker):
    rotate(harness, 1)
    harness.deliver_all()
    rotate(harness, 2)
    harness.poll(listed_account())
    harness.deliver_all()
    harness.listed = listed_account()

    assert await told_meanwhile(harness, ticker, 30) == []


async def test_a_link_that_a_late_reminder_told_is_not_told_again(harness, ticker):
    rotate(harness, 1)
    harness.deliver_all()
    harness.poll(signed_out(link="https://app.linkedapi.io/c/1"), after=HOUR)
    await tick_all(ticker)
    rotate(harness, 2)  # before the reminder leaves
    harness.listed = signed_out(link="https://app.linkedapi.io/c/2")

    assert [event for event, _ in await told_meanwhile(harness, ticker, 1)] == ["reminded"]
    assert await told_meanwhile(harness, ticker, 20) == []
    assert ("slack", "refreshed", "cancelled", "superseded") in harness.states()


@pytest.mark.parametrize("error", [TIMEOUT, REFUSED])
async def test_a_link_whose_telling_failed_is_told_again_under_its_key(harness, ticker, error):
    rotate(harness, 1)
    harness.deliver_all()
    rotate(harness, 2)
    harness.poll(signed_out(link="https://app.linkedapi.io/c/2"), after=15 * MINUTE)
    await tick_all(ticker)

    first = harness.claim()
    harness.settle(first, error)
    again = harness.claim(after=15 * MINUTE)

    assert first.message.notifications[0].event == "refreshed"
    assert again.message.id == first.message.id


async def test_a_link_that_the_rest_of_a_mail_told_is_news_to_who_had_the_mail_before(
    harness, ticker
):
    rotate(harness, 1)
    harness.deliver(error=PARTLY)
    rotate(harness, 2)
    harness.listed = signed_out(link="https://app.linkedapi.io/c/2")
    assert harness.deliver() == [("opened", "a1")], "those who had refused it for now"

    assert [event for event, _ in await told_meanwhile(harness, ticker, 20)] == ["refreshed"]


async def test_a_link_that_some_addresses_took_is_told_to_the_others_too(harness, ticker):
    rotate(harness, 1)
    harness.deliver_all()
    rotate(harness, 2)
    harness.poll(signed_out(link="https://app.linkedapi.io/c/2"), after=15 * MINUTE)
    await tick_all(ticker)
    assert harness.deliver(error=PARTLY) == [("refreshed", "a1")]

    assert harness.deliver(after=MINUTE) == [("refreshed", "a1")]


@pytest.mark.case("link rotates after it was told")
async def test_a_link_that_came_after_one_poll_that_saw_the_account_work_is_told(store):
    harness = StoreHarness(store, resolve_after=2)
    rules = TickRules(harness.rules.policy, harness.rules.routing, keep=180 * DAY)
    ticker = Ticker(rules, make_recorder(harness, {"slack": "slack"}), lambda _: harness.term)
    rotate(harness, 1)
    harness.deliver_all()
    harness.poll(listed_account())
    rotate(harness, 2)
    harness.listed = signed_out(link="https://app.linkedapi.io/c/2")

    assert await told_meanwhile(harness, ticker, 20) == [
        ("refreshed", harness.listed.session.link.reveal())
    ]


def step_clock(harness, back):
    harness.run(lambda tx: clock.set_clock(tx, REPLICA, harness.now))
    harness.now -= back
    harness.run(lambda tx: clock.set_clock(tx, REPLICA, harness.now))
    harness.workspace = harness.run(lambda tx: workspaces.load(tx, "acme"))


@pytest.mark.case("clock back")
async def test_a_link_that_rotates_after_the_clock_went_back_is_told(harness, ticker):
    rotate(harness, 1)
    harness.deliver_all()
    step_clock(harness, HOUR)
    rotate(harness, 2)
    harness.listed = signed_out(link="https://app.linkedapi.io/c/2")

    assert [event for event, _ in await told_meanwhile(harness, ticker, 16)] == ["refreshed"]


@pytest.mark.case("clock back")
async def test_a_link_that_was_told_since_the_clock_went_back_is_not_told_again(harness, ticker):
    rotate(harness, 1)
    rotate(harness, 2)
    harness.listed = signed_out(link="https://app.linkedapi.io/c/2")
    step_clock(harness, HOUR)
    harness.poll(harness.listed)
    assert harness.deliver() == [("opened", "a1")]

    assert await told_meanwhile(harness, ticker, 20) == []


@pytest.mark.case("clock back")
async def test_a_clock_that_goes_back_moves_the_reminder_after_a_link(harness, ticker):
    rotate(harness, 1)
    harness.deliver_all()
    rotate(harness, 2)
    harness.listed = signed_out(link="https://app.linkedapi.io/c/2")
    step_clock(harness, 30 * MINUTE)

    told = await told_meanwhile(harness, ticker, 60)
    assert [event for event, _ in told] == ["refreshed", "reminded"]

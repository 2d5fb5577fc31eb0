"""The second look before something leaves."""

from dataclasses import replace

import pytest
from harness.core import LINK, CoreHarness, frozen, listed_account, signed_out

from monitor.core.model import EventType, Notification, Resolution, SettledReason
from monitor.core.recheck import QueuedNotification, Wait, recheck
from monitor.core.route import Receiver

RECEIVER, NO_LINK = Receiver("slack"), Receiver("crm", may_have_link=False)


def queued(harness, event=EventType.OPENED, *, heard=False, ended=False, happened=None, **changes):
    incident = next(iter(harness.incidents.values()))
    if ended:
        incident = replace(incident, resolved_at=harness.now)
    return QueuedNotification(
        notification_id="n1",
        event=event,
        happened=happened or event,
        at=harness.now,
        detail="",
        workspace="acme",
        labels={},
        incident=changes.pop("incident", incident),
        account=changes.pop("account", harness.workspace.accounts.get(incident.account_id)),
        heard_at=harness.now - 1 if heard is True else heard or None,
        **changes,
    )


def world_with(account=None):
    harness = CoreHarness(resolve_after=2)
    harness.poll(account or signed_out())
    return harness


def test_an_opening_that_holds_is_told_with_its_link():
    item = recheck(queued(world_with()), RECEIVER)

    assert isinstance(item, Notification)
    assert item.event is EventType.OPENED
    assert item.link.reveal() == LINK


def test_a_receiver_that_may_not_have_the_link_gets_none():
    assert recheck(queued(world_with()), NO_LINK).link is None


def test_a_frozen_account_has_no_link():
    assert recheck(queued(world_with(frozen())), RECEIVER).link is None


@pytest.mark.parametrize(
    "event", [EventType.OPENED, EventType.CHANGED, EventType.REMINDED, EventType.REFRESHED]
)
@pytest.mark.parametrize("heard", [True, False])
def test_after_recovery_nothing_asks_for_a_login(event, heard):
    verdict = recheck(queued(world_with(), event, heard=heard, ended=True), RECEIVER)

    assert verdict is SettledReason.RECOVERED


@pytest.mark.parametrize(
    ("resolution", "reason"),
    [
        (Resolution.UNWATCHED, SettledReason.UNWATCHED),
        (Resolution.DISAPPEARED, SettledReason.RECOVERED),
        (Resolution.RECOVERED, SettledReason.RECOVERED),
    ],
)
def test_what_is_over_is_not_sent_and_says_why(resolution, reason):
    harness = world_with()
    ended = replace(harness.open[0], resolved_at=harness.now, resolution=resolution)

    assert recheck(queued(harness, incident=ended), RECEIVER) is reason


def test_who_heard_of_it_hears_that_a_workspace_is_no_longer_watched():
    harness = world_with()
    ended = replace(harness.open[0], resolved_at=harness.now, resolution=Resolution.UNWATCHED)
    resolved = queued(harness, EventType.RESOLVED, heard=True, incident=ended, watched=False)

    item = recheck(replace(resolved, current=False), RECEIVER)

    assert item.incident.resolution is Resolution.UNWATCHED


def test_a_resolution_goes_only_to_who_heard():
    harness = world_with()

    unheard = recheck(queued(harness, EventType.RESOLVED, ended=True), RECEIVER)
    heard = recheck(queued(harness, EventType.RESOLVED, heard=True, ended=True), RECEIVER)

    assert unheard is SettledReason.RECOVERED
    assert heard.event is EventType.RESOLVED
    assert heard.link is None


@pytest.mark.parametrize(
    "event", [EventType.CHANGED, EventType.REMINDED, EventType.REFRESHED, EventType.OPENED]
)
def test_the_first_that_a_receiver_hears_is_written_as_an_opening(event):
    assert recheck(queued(world_with(), event), RECEIVER).event is EventType.OPENED


@pytest.mark.parametrize("event", [EventType.CHANGED, EventType.REMINDED, EventType.REFRESHED])
def test_who_heard_is_told_what_happened_since(event):
    assert recheck(queued(world_with(), event, heard=True), RECEIVER).event is event


def test_what_seems_over_or_missing_waits():
    harness = world_with(signed_out())
    account = harness.workspace.accounts["a1"]
    harness.poll(listed_account())

    improving = recheck(queued(harness), RECEIVER)
    missing = recheck(queued(harness, account=replace(account, missing_polls=1)), RECEIVER)

    assert improving == Wait()
    assert missing == Wait()


def test_a_reminder_of_something_acknowledged_is_superseded():
    harness = world_with()
    incident = replace(harness.open[0], acknowledged_at=harness.now)

    verdict = recheck(queued(harness, EventType.REMINDED, heard=True, incident=incident), RECEIVER)

    assert verdict is SettledReason.SUPERSEDED


def test_a_refreshed_link_that_is_gone_or_may_not_be_had_is_superseded():
    refreshed = queued(world_with(), EventType.REFRESHED, heard=True)
    without = replace(refreshed, account=replace(refreshed.account, session=None))

    assert recheck(refreshed, NO_LINK) is SettledReason.SUPERSEDED
    assert recheck(without, RECEIVER) is SettledReason.SUPERSEDED


def test_a_workspaces_incident_needs_no_account():
    harness = CoreHarness()
    harness.poll(signed_out())
    incident = replace(harness.open[0], account_id=None)

    item = recheck(queued(harness, incident=incident, account=None), RECEIVER)

    assert item.event is EventType.OPENED


def test_a_removal_is_told_unless_the_account_came_back():
    harness = world_with()
    here = harness.workspace.accounts["a1"]
    removed = replace(here, removed_at=harness.now)

    told = recheck(queued(harness, EventType.NOTICE, incident=None, account=removed), RECEIVER)
    back = recheck(queued(harness, EventType.NOTICE, incident=None, account=here), RECEIVER)

    assert told.event is EventType.NOTICE
    assert back is SettledReason.SUPERSEDED


@pytest.mark.parametrize("happened", [EventType.OPENED, EventType.REMINDED, EventType.CHANGED])
def test_the_fallback_is_not_told_what_another_missed_once_it_is_over(happened):
    missed = {"happened": happened, "undelivered_to": "slack"}
    harness = world_with()

    ended = recheck(queued(harness, EventType.NOTICE, ended=True, **missed), RECEIVER)
    still = recheck(queued(harness, EventType.NOTICE, **missed), RECEIVER)

    assert ended is SettledReason.RECOVERED
    assert still.undelivered_to == "slack"


def test_the_fallback_is_told_of_a_resolution_that_another_missed():
    missed = queued(
        world_with(),
        EventType.NOTICE,
        ended=True,
        happened=EventType.RESOLVED,
        undelivered_to="slack",
    )

    assert recheck(missed, RECEIVER).event is EventType.NOTICE


@pytest.mark.parametrize("event", [EventType.CHANGED, EventType.REFRESHED])
def test_what_the_first_message_said_already_is_not_said_again(event):
    harness = world_with()

    verdict = recheck(queued(harness, event, heard=harness.now), RECEIVER)

    assert verdict is SettledReason.SUPERSEDED


@pytest.mark.case("start, or the host slept")
@pytest.mark.parametrize("event", [EventType.OPENED, EventType.REMINDED, EventType.NOTICE])
def test_until_the_workspace_has_been_looked_at_everything_but_a_resolution_waits(event):
    harness = world_with()
    stale = replace(queued(harness, event), current=False)
    resolved = replace(queued(harness, EventType.RESOLVED, heard=True, ended=True), current=False)

    assert recheck(stale, RECEIVER) == Wait()
    assert isinstance(recheck(resolved, RECEIVER), Notification)


def test_no_link_reaches_a_notifier_that_may_not_have_it():
    item = recheck(queued(world_with()), NO_LINK)

    assert item.link_withheld
    assert item.account.session is None

"""The recheck right before a send."""

from dataclasses import replace

import pytest
from harness.core import LINK, CoreHarness, frozen, signed_out
from harness.notifications import undelivered

from monitor.core.model import Cause, EventType, Resolution, Scope, Status
from monitor.core.notification import Notification, SettledReason
from monitor.core.recheck import QueuedNotification, Wait, recheck
from monitor.core.route import Receiver

RECEIVER, NO_LINK = Receiver("slack"), Receiver("crm", may_have_link=False)
UPDATES = [EventType.CHANGED, EventType.REMINDED, EventType.REFRESHED]


def queued(event=EventType.OPENED, listed=None, *, heard=False, ended=None, **changes):
    """A notification of an account that was *listed*; *ended* says how its incident ended."""
    harness = CoreHarness()
    harness.poll(listed or signed_out())
    (incident,) = harness.open
    if ended:
        incident = replace(incident, resolved_at=harness.now, resolution=ended)
    values = {
        "notification_id": "n1",
        "event": event,
        "happened": event,
        "at": harness.now,
        "detail": "",
        "workspace": "acme",
        "labels": {},
        "incident": incident,
        "account": harness.workspace.accounts["a1"],
        "session": harness.sessions.get("a1"),
        "heard_at": harness.now - 1 if heard else None,
    }
    return QueuedNotification(**{**values, **changes})


def with_incident(notification, **changes):
    return replace(notification, incident=replace(notification.incident, **changes))


def with_account(notification, **changes):
    return replace(notification, account=replace(notification.account, **changes))


def test_an_opening_that_holds_is_told_with_its_link():
    notification = recheck(queued(), RECEIVER)

    assert isinstance(notification, Notification)
    assert notification.event is EventType.OPENED
    assert notification.link.reveal() == LINK


def test_no_link_reaches_a_notifier_that_may_not_have_it():
    notification = recheck(queued(), NO_LINK)

    assert notification.link is None
    assert notification.link_withheld


def test_a_frozen_account_has_no_link():
    assert recheck(queued(listed=frozen()), RECEIVER).link is None


@pytest.mark.parametrize("event", [EventType.OPENED, *UPDATES])
@pytest.mark.parametrize("heard", [True, False])
@pytest.mark.parametrize(
    ("resolution", "reason"),
    [
        (Resolution.UNWATCHED, SettledReason.UNWATCHED),
        (Resolution.DISAPPEARED, SettledReason.RECOVERED),
        (Resolution.RECOVERED, SettledReason.RECOVERED),
    ],
)
def test_what_is_over_is_not_sent_and_says_why(event, heard, resolution, reason):
    assert recheck(queued(event, heard=heard, ended=resolution), RECEIVER) is reason


def test_a_resolution_goes_only_to_who_heard():
    resolved = queued(EventType.RESOLVED, ended=Resolution.RECOVERED, heard=True)

    notification = recheck(resolved, RECEIVER)

    assert (notification.event, notification.link) == (EventType.RESOLVED, None)
    assert recheck(replace(resolved, heard_at=None), RECEIVER) is SettledReason.RECOVERED


def test_who_heard_of_it_hears_that_a_workspace_is_no_longer_watched():
    left = {"watched": False, "current": False}
    resolved = queued(EventType.RESOLVED, heard=True, ended=Resolution.UNWATCHED, **left)

    assert recheck(resolved, RECEIVER).incident.resolution is Resolution.UNWATCHED


@pytest.mark.parametrize("event", UPDATES)
def test_the_first_that_a_receiver_hears_is_written_as_an_opening(event):
    assert recheck(queued(event), RECEIVER).event is EventType.OPENED
    assert recheck(queued(event, heard=True), RECEIVER).event is event


@pytest.mark.parametrize(
    ("notification", "wait"),
    [
        (with_account(queued(), status=Status.ACTIVE), Wait.LOOK),
        (with_account(queued(), missing_polls=1), Wait.LOOK),
        (queued(watched=None), Wait.MOMENT),
    ],
    ids=["seems over", "is missing", "just attached"],
)
def test_what_may_not_hold_waits(notification, wait):
    assert recheck(notification, RECEIVER) is wait


def test_a_reminder_of_something_acknowledged_is_superseded():
    reminder = with_incident(queued(EventType.REMINDED, heard=True), acknowledged_at=1)

    assert recheck(reminder, RECEIVER) is SettledReason.SUPERSEDED


def test_a_refreshed_link_that_is_gone_or_may_not_be_had_is_superseded():
    refreshed = queued(EventType.REFRESHED, heard=True)

    assert recheck(refreshed, NO_LINK) is SettledReason.SUPERSEDED
    assert recheck(replace(refreshed, session=None), RECEIVER) is SettledReason.SUPERSEDED


def test_a_workspaces_incident_needs_no_account():
    opening = with_incident(queued(account=None), scope=Scope.WORKSPACE, subject="reading")

    assert recheck(opening, RECEIVER).event is EventType.OPENED


def test_a_removal_is_told_unless_the_account_came_back():
    here = queued(EventType.NOTICE, incident=None)

    assert recheck(with_account(here, removed_at=1), RECEIVER).event is EventType.NOTICE
    assert recheck(here, RECEIVER) is SettledReason.SUPERSEDED


@pytest.mark.case("new name matches other rules")
def test_a_new_name_is_told_unless_it_counts_already():
    renamed = queued(EventType.NOTICE, incident=None, detail="rules_changed")

    assert recheck(with_account(renamed, rules_told_at=1), RECEIVER).detail == "rules_changed"
    assert recheck(renamed, RECEIVER) is SettledReason.SUPERSEDED


@pytest.mark.parametrize("happened", [EventType.OPENED, EventType.REMINDED, EventType.CHANGED])
def test_the_fallback_is_not_told_what_another_missed_once_it_is_over(happened):
    missed = queued(EventType.NOTICE, happened=happened, undelivered=undelivered("slack"))

    assert recheck(missed, RECEIVER).undelivered.receiver == "slack"
    assert recheck(with_incident(missed, resolved_at=1), RECEIVER) is SettledReason.RECOVERED


def test_the_fallback_is_told_of_a_resolution_that_another_missed():
    happened = {"happened": EventType.RESOLVED, "undelivered": undelivered("slack")}
    missed = queued(EventType.NOTICE, ended=Resolution.RECOVERED, **happened)

    assert recheck(missed, RECEIVER).event is EventType.NOTICE


@pytest.mark.parametrize("event", [EventType.CHANGED, EventType.REFRESHED])
def test_what_the_first_message_said_already_is_not_said_again(event):
    notification = queued(event)

    verdict = recheck(replace(notification, heard_at=notification.at), RECEIVER)

    assert verdict is SettledReason.SUPERSEDED


@pytest.mark.case("start, or the host slept")
@pytest.mark.parametrize("event", [EventType.OPENED, EventType.REMINDED, EventType.NOTICE])
def test_until_the_workspace_has_been_looked_at_everything_but_a_resolution_waits(event):
    ended = {"heard": True, "ended": Resolution.RECOVERED}

    assert recheck(queued(event, current=False), RECEIVER) is Wait.LOOK
    resolved = recheck(queued(EventType.RESOLVED, current=False, **ended), RECEIVER)
    assert isinstance(resolved, Notification)


@pytest.mark.case("link rotates after it was told")
@pytest.mark.parametrize(
    ("told", "is_news"),
    [
        ({"heard": True, "told_at": None}, True),
        ({"heard": True, "told_at": -1}, True),
        ({"heard": True, "told_at": 0}, False),
        ({"heard": True, "told_at": 1}, False),
        ({"told_at": None}, True),
    ],
)
def test_a_link_is_news_to_who_was_told_nothing_since_it_came(told, is_news):
    refresh = queued(EventType.REFRESHED, heard=told.pop("heard", False))
    since, ago = refresh.session.link_since, told["told_at"]
    verdict = recheck(
        replace(refresh, at=since + 1, told_at=None if ago is None else since + ago), RECEIVER
    )

    assert (verdict is not SettledReason.SUPERSEDED) is is_news


@pytest.mark.parametrize(
    ("cause", "verdict"), [(Cause.FLAPPING, "opened"), (Cause.FROZEN, Wait.LOOK)]
)
def test_what_keeps_changing_is_told_while_the_account_is_active(cause, verdict):
    active = with_account(queued(), status=Status.ACTIVE)

    told_as = recheck(with_incident(active, cause=cause), RECEIVER)

    assert getattr(told_as, "event", told_as) == verdict


def test_an_account_that_was_connected_is_told_while_it_is_there():
    appeared = queued(EventType.NOTICE, incident=None, detail="appeared")

    assert recheck(appeared, RECEIVER).detail == "appeared"
    for gone in (with_account(appeared, removed_at=1), replace(appeared, account=None)):
        assert recheck(gone, RECEIVER) is SettledReason.SUPERSEDED

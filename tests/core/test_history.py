"""The page of one incident, as a person reads it."""

from dataclasses import replace

from harness.core import (
    HOUR,
    MINUTE,
    NOON,
    REJECTED,
    CoreHarness,
    frozen,
    listed_account,
    signed_out,
)

from monitor.core.act import Act, ActKind, Way
from monitor.core.history import (
    Heard,
    History,
    LinkRequest,
    PastAttempt,
    PastEvent,
    PastNotification,
    page,
)
from monitor.core.model import EventType, Reason
from monitor.core.notification import NotificationState, SettledReason
from monitor.core.subscription import Subscription, SubscriptionStatus

DAY = 24 * HOUR


def notification(receiver, state="pending", *tried, **values):
    attempts = tuple(
        PastAttempt(number, at, 0, "ok" if answer is None else "server", answer, "title")
        for number, (at, answer) in enumerate(tried, start=1)
    )
    values = {
        "address": "",
        "event": EventType.OPENED,
        "reason": None,
        "undelivered_to": None,
        "attempts": len(tried),
        "next_attempt_at": NOON,
    } | values
    return PastNotification(receiver, state=NotificationState(state), tried=attempts, **values)


def polled(*polls):
    """The history of the one incident of these polls, nobody told."""
    harness = CoreHarness()
    for poll in polls:
        harness.poll(poll)
    (incident,) = harness.incidents.values()
    events = [it for it in harness.events if it.incident_id == incident.id]
    return harness, History(
        incident, harness.workspace.accounts.get("a1"), events=tuple(map(PastEvent, events))
    )


def lines(history, now=NOON, *, timezone="UTC", **labels):
    return list(page(history, labels=labels, now=now, timezone=timezone))


def told(history, *notifications):
    """The lines below the first event of *history* if it was told like this."""
    first, *rest = history.events
    history = replace(history, events=(replace(first, notifications=notifications), *rest))
    start = lines(history).index("Mon 23 Nov 2026 (UTC)")
    return [line.strip() for line in lines(history)[start + 2 : start + 2 + 9]]


def test_it_says_what_is_and_then_what_happened():
    harness, history = polled(listed_account(), signed_out(), frozen())
    heard = (Heard("slack", "", NOON), Heard("mail", "jane@example.com", NOON))

    shown = lines(replace(history, heard=heard), harness.now, owner="jane@example.com")

    assert shown == [
        "“Person a1” is frozen by Linked API",
        "  Since        Mon 23 Nov 2026, 12:03 UTC, just now",
        "  Before that  signed out for 1 min",
        "  Workspace    acme",
        "  Owner        jane@example.com",
        "  Profile      linkedin.com/in/a1",
        "  Account id   a1",
        "  Incident id  1",
        "  Told         slack, mail (jane@example.com)",
        "",
        "Mon 23 Nov 2026 (UTC)",
        "  12:02:00  opened: reconnection required (seen bad)",
        "  12:03:00  changed: frozen (status changed)",
    ]


def test_one_that_has_ended_says_how_long_it_lasted():
    _, history = polled(listed_account(), signed_out(), listed_account())

    shown = lines(history)

    assert shown[0] == "“Person a1” is active again"
    assert shown[1] == "  Lasted       1 min, Mon 23 Nov 2026, 12:02 to 12:03 UTC"
    assert "  Told         nobody" in shown
    assert shown[-1] == "  12:03:00  resolved: reconnection required (active again)"


def test_one_of_a_workspace_has_no_account_and_says_why():
    harness = CoreHarness()
    harness.poll(listed_account())
    for _ in range(2):
        harness.fail(REJECTED)
    (incident,) = harness.incidents.values()
    history = History(incident, events=tuple(map(PastEvent, harness.events)))

    assert lines(history)[0] == "Workspace acme cannot be checked: Linked API rejects the token"
    assert lines(history)[-1].endswith(
        "opened: token rejected (token rejected, the token is not valid)"
    )


def test_who_was_told_stands_with_each_answer():
    _, history = polled(listed_account(), signed_out())
    first = history.events[0].event.at

    assert told(
        history,
        notification("slack", "delivered", (first, "HTTP 500"), (first + MINUTE, None)),
        notification("hook", attempts=7, next_attempt_at=NOON + MINUTE),
        notification("mail", "dead", (first + DAY, "HTTP 404"), reason=SettledReason.DEADLINE),
        notification("chat", "cancelled", reason=SettledReason.RECOVERED),
        notification("ops", undelivered_to="mail", address="a@x.de"),
    ) == [
        "slack         delivered 12:03:00, 2 tries",
        "12:02:00: HTTP 500",
        "hook          pending, 7 tries, next try in 1 min",
        "mail          dead (deadline)",
        "Tue 24 Nov 2026, 12:02:00: HTTP 404",
        "chat          cancelled (recovered)",
        "ops (a@x.de)  pending, in place of mail, next try now",
    ]


def test_an_attempt_without_an_answer_says_what_kind_of_failure_it_was():
    _, history = polled(listed_account(), signed_out())
    lost = PastAttempt(1, NOON, None, "timeout", None, "title")

    shown = told(history, replace(notification("slack", attempts=1), tried=(lost,)))

    assert shown == ["slack  pending, next try now", "12:00:00: timeout"]


def test_requests_for_a_link_and_what_is_left_out_stand_in_their_places():
    harness, history = polled(listed_account(), signed_out(), frozen())
    first, last = (past.event.at for past in history.events)
    requests = (LinkRequest(first + 1, "created"), LinkRequest(last + DAY, "limited"))

    shown = lines(replace(history, left_out=7, link_requests=requests), harness.now)

    start = shown.index("Mon 23 Nov 2026 (UTC)")
    assert shown[start + 1 :] == [
        "  12:02:00  opened: reconnection required (seen bad)",
        "  12:02:00  … 7 events are left out; see --limit",
        "  12:02:00  a login link was asked for: created",
        "  12:03:00  changed: frozen (status changed)",
        "Tue 24 Nov 2026 (UTC)",
        "  12:03:00  a login link was asked for: limited",
    ]


def test_times_are_those_of_the_zone():
    _, history = polled(listed_account(), signed_out())

    shown = lines(history, timezone="Asia/Tokyo")

    assert shown[-2:] == [
        "Mon 23 Nov 2026 (JST)",
        "  21:02:00  opened: reconnection required (seen bad)",
    ]


def acted(**values):
    values = {"act": ActKind.ACK, "way": Way.CLI, "actor": "Ann", "login": "root@box"} | values
    return Act(**{"id": "act", "at": NOON} | values)


def test_who_did_what_stands_with_what_followed():
    _, history = polled(listed_account(), signed_out())
    (opened,) = history.events
    at = opened.event.at + MINUTE
    taken = replace(
        opened.event,
        type=EventType.ACKNOWLEDGED,
        reason=Reason.TAKEN_OVER,
        at=at,
        detail="Ann: on the phone",
        act_id="act",
    )
    acts = (
        acted(at=at, reason="on the\u202e phone"),
        acted(id="other", act=ActKind.FORGET, at=at + HOUR, actor="root"),
    )

    shown = lines(replace(history, events=(opened, PastEvent(taken)), acts=acts))

    assert shown[-5:] == [
        "  12:02:00  opened: reconnection required (seen bad)",
        "  12:03:00  acknowledged: reconnection required (taken over)",
        "            by Ann (said to be, by root@box), cli: on the phone",
        "  13:03:00  forget",
        "            by root, cli",
    ]


def test_why_a_receiver_was_not_told_stands_with_the_event():
    _, history = polled(listed_account(), signed_out())
    (opened,) = history.events
    held = replace(opened, event=replace(opened.event, untold="pager: muted\nmail: no address"))

    shown = lines(replace(history, events=(held,)))

    assert shown[-2:] == [
        "            not told: pager: muted",
        "            not told: mail: no address",
    ]


def test_what_is_wrong_with_a_subscription_is_said_in_words():
    harness = CoreHarness()
    harness.subscription = Subscription(SubscriptionStatus.PAST_DUE, seats=0)
    harness.poll(listed_account("a1"))
    (incident,) = harness.incidents.values()
    history = History(incident, events=(PastEvent(harness.events[-1]),))

    assert lines(history)[-1].endswith(
        "opened: subscription (new condition, the subscription is unpaid and has too few seats)"
    )

"""Which accounts lack a link, and what asking for one comes to."""

from dataclasses import replace

import pytest
from harness.core import LINK, MINUTE, NOON, CoreHarness, frozen, listed_account, signed_out

from monitor.core.decide.sessions import conclude, needs_session, plan_refresh
from monitor.core.draft import Decision
from monitor.core.model import EventType, Reason, Refresh, Resolution, Session
from monitor.core.secret import Secret

NO_LINK = signed_out("a", link="")
SESSION = Session("d90ac1f6", Secret(LINK))


def polled(*accounts):
    harness = CoreHarness(create=True)
    return harness, harness.poll(*accounts)


def test_an_account_that_needs_a_login_and_has_no_link_wants_one():
    _, decision = polled(NO_LINK, signed_out("b"), frozen("c"), listed_account("d"))

    assert [incident.account_id for incident in decision.wanted] == ["a"]


def test_an_account_that_is_only_suspected_wants_no_link_yet():
    harness = CoreHarness(create=True, open_after=2)

    assert harness.poll(NO_LINK).wanted == ()


@pytest.mark.parametrize(
    ("account", "needs"), [(NO_LINK, True), (signed_out("a"), False), (frozen("a"), False)]
)
def test_a_session_is_needed_only_while_a_login_is_and_there_is_no_link(account, needs):
    harness, _ = polled(account)
    recorded, incident = harness.workspace.accounts["a"], harness.open[0]
    session = harness.sessions.get("a")

    assert needs_session(recorded, incident, session) is needs
    assert not needs_session(recorded, replace(incident, resolved_at=harness.now), session)
    assert not needs_session(recorded, None, session)
    assert not needs_session(None, incident, session)


def concluded(session, *, gone=False, before=None, is_over=False, **incident):
    harness, _ = polled(NO_LINK)
    account = None if gone else harness.workspace.accounts["a"]
    return conclude(
        replace(harness.open[0], **incident),
        account,
        session,
        before=before,
        is_over=is_over,
        now=harness.now,
        new_id=lambda: "e",
    )


def test_a_link_that_came_is_kept_told_and_waited_for_no_longer():
    decision = concluded(SESSION)

    (event,) = decision.events
    now = NOON + MINUTE
    assert decision.sessions == {"a": replace(SESSION, unconfirmed_since=now, link_since=now)}
    assert (event.type, event.reason) == (EventType.REFRESHED, Reason.LINK_CREATED)
    assert decision.released == (event.incident_id,)


def test_a_link_that_turns_out_to_be_good_is_no_news_but_known_to_be_so_from_now_on():
    decision = concluded(SESSION, before=SESSION)

    assert decision.sessions == {"a": replace(SESSION, unconfirmed_since=NOON + MINUTE)}
    assert decision.events == ()
    assert len(decision.released) == 1


@pytest.mark.parametrize("session", [None, Session("d90ac1f6", None)])
def test_without_a_link_nothing_waits_for_it_any_longer(session):
    decision = concluded(session)

    assert decision == Decision(released=decision.released)
    assert len(decision.released) == 1


@pytest.mark.parametrize("session", [None, Session("d90ac1f6", None)])
def test_the_link_of_a_session_that_is_over_is_dropped(session):
    decision = concluded(session, is_over=True)

    assert decision.sessions == {"a": None}
    assert decision.events == ()
    assert len(decision.released) == 1


def test_a_session_is_needed_too_if_the_list_does_not_show_the_link_that_there_is():
    harness, _ = polled(signed_out("a"))
    listed = harness.sessions["a"]
    harness.poll(NO_LINK)
    account, session = harness.workspace.accounts["a"], harness.sessions["a"]

    assert session == replace(listed, unconfirmed_since=harness.now)
    assert needs_session(account, harness.open[0], session)
    harness.poll(NO_LINK)
    assert harness.sessions["a"] == session
    harness.poll(signed_out("a"))
    assert harness.sessions["a"] == listed


def test_a_link_of_an_account_that_is_not_recorded_any_more_is_dropped():
    assert concluded(SESSION, gone=True).sessions == {}


@pytest.mark.parametrize("account", [frozen("a"), listed_account("a")])
def test_a_link_that_comes_when_no_login_is_needed_any_more_is_no_news(account):
    harness, _ = polled(NO_LINK)
    harness.policy = replace(harness.policy, resolve_after=2)
    harness.poll(account)
    (incident,) = harness.open

    decision = conclude(
        incident,
        harness.workspace.accounts["a"],
        SESSION,
        is_over=False,
        now=harness.now,
        new_id=str,
    )

    assert decision == Decision(released=(incident.id,))


def test_a_link_that_comes_after_the_end_is_no_news():
    assert concluded(SESSION, resolved_at=1, resolution=Resolution.RECOVERED) == Decision()
    assert conclude(None, None, SESSION, is_over=True, now=1, new_id=str) == Decision()


# ── a link that rotates ──────────────────────────────────────────────────────────────────────────

AFTER = 15 * MINUTE


def test_a_link_is_known_since_it_was_first_seen():
    harness, _ = polled(signed_out("a", link="https://x/1"))
    since = []
    for link in ("https://x/1", "https://x/2", "https://x/2", "", "https://x/2", "https://x/3"):
        harness.poll(signed_out("a", link=link))
        since.append((harness.now - harness.sessions["a"].link_since) // MINUTE)

    assert since == [1, 0, 1, 2, 3, 0]


@pytest.mark.case("link rotates after it was told")
def test_a_link_that_rotates_is_due_a_while_later_and_the_reminder_after_it():
    harness, _ = polled(signed_out("a", link="https://x/1"))
    before = harness.open[0]
    for link in ("2", "3", "4"):
        decision = harness.poll(signed_out("a", link=f"https://x/{link}"))
        assert decision.events == ()

    (incident,) = harness.open
    assert incident.refresh is Refresh.DUE
    assert incident.next_due_at == NOON + 2 * MINUTE + AFTER, "since it rotated for the first time"
    assert incident.remind_at == before.next_due_at


def test_a_link_whose_reminder_is_near_is_left_to_the_reminder():
    incident = polled(signed_out("a"))[0].open[0]
    remind_at = incident.next_due_at

    for ahead, refresh in ((0, None), (1, Refresh.DUE)):
        planned = plan_refresh(incident, after=AFTER, now=remind_at - AFTER - ahead)
        assert planned.refresh is refresh
    never = plan_refresh(replace(incident, remind_at=None), after=AFTER, now=NOON)
    assert never.refresh_at == NOON + AFTER


def test_a_reminder_that_does_not_come_as_somebody_has_taken_over_tells_no_link():
    incident = replace(polled(signed_out("a"))[0].open[0], acknowledged_at=NOON)

    planned = plan_refresh(incident, after=AFTER, now=incident.remind_at)

    assert planned.refresh_at == incident.remind_at + AFTER


@pytest.mark.parametrize("refresh", Refresh)
def test_a_link_is_due_once_between_two_reminders(refresh):
    incident = replace(polled(signed_out("a"))[0].open[0], refresh=refresh)

    assert plan_refresh(incident, after=AFTER, now=NOON) is incident


@pytest.mark.parametrize("links", [("", "1"), ("1", ""), ("1", "1")])
def test_only_another_link_than_the_one_before_has_rotated(links):
    harness, _ = polled(signed_out("a", link=links[0] and f"https://x/{links[0]}"))
    harness.poll(signed_out("a", link=links[1] and f"https://x/{links[1]}"))

    assert harness.open[0].refresh is None


def test_another_cause_and_the_end_of_an_incident_forget_that_its_link_rotated():
    for listed in (frozen("a"), listed_account("a")):
        harness, _ = polled(signed_out("a", link="https://x/1"))
        harness.poll(signed_out("a", link="https://x/2"))
        harness.poll(listed)

        (incident,) = harness.incidents.values()
        assert incident.refresh_at is None
        assert not incident.is_open or incident.refresh is None

"""The words of one notification."""

from dataclasses import replace

import pytest
from harness.core import HOUR, NOON
from harness.notifications import account, notification

from monitor.core import wording
from monitor.core.duration import Duration
from monitor.core.model import Cause, EarlierCause, EventType, Status


@pytest.mark.parametrize(
    "link", ["javascript:alert(1)", "https://a b", "https://x\u202e/", "https://x\ny", "//x"]
)
def test_a_link_that_no_browser_should_open_is_none(link):
    signed_out = notification(link=link)

    assert wording.login_link(signed_out) is None
    assert wording.advice([signed_out]).startswith("Reconnect this account in the Linked API")


@pytest.mark.parametrize("name", ["", " \u200b\n", "\u3164\u2800"])
def test_a_name_that_shows_nothing_becomes_the_id(name):
    nameless = notification(person=account(name, id_="d90ac1f6"))
    forgotten = replace(nameless, account=None)

    assert wording.name_of(nameless) == "Account “d90ac1f6”"
    assert wording.name_of(forgotten) == f"Account “{nameless.incident.account_id}”"


def test_what_is_about_no_account_is_about_the_workspace():
    assert wording.name_of(replace(notification(), account=None, incident=None)) == "Workspace acme"


def test_an_address_that_is_no_profile_is_not_shown():
    for url in ("", "https://www.linkedin.com/redir/redirect?url=evil.example"):
        assert wording.profile_link(notification(person=account(url=url))) is None
    assert wording.profile_link(notification()) == "https://www.linkedin.com/in/jane-doe/"


SENTENCE = "Bob” is active again. Nothing to do. “Jane"


def test_a_name_that_is_a_sentence_does_not_pass_for_ours():
    case = notification(person=account(SENTENCE))

    assert wording.title(case) == (
        "“Bob' is active again. Nothing to do. 'Jane” is signed out of LinkedIn"
    )
    assert wording.thread_title(case) == (
        "“Bob' is active again. Nothing to do. 'Jane” is signed out of LinkedIn (acme)"
    )


def test_an_id_and_a_status_that_are_sentences_do_not_pass_for_ours():
    person = account("", id_=SENTENCE, status=Status.UNKNOWN, raw_status="fine”. All is well. “x")
    case = notification(cause=Cause.UNKNOWN, person=person)

    assert wording.title(case).startswith("Account “Bob' is active again. Nothing to do. 'Jane” is")
    assert "calls the state “fine'. All is well. 'x”. Until" in wording.advice([case])


def test_an_end_of_which_no_more_is_known_is_an_end():
    ended = replace(notification(EventType.RESOLVED), incident=None)

    assert wording.advice([ended]) == "Nothing to do."


def test_after_a_change_only_what_had_a_login_link_says_that_it_is_void():
    changed = notification(EventType.CHANGED, Cause.FROZEN)
    had_none = replace(changed.incident, earlier=(EarlierCause(Cause.UNKNOWN, Duration(HOUR)),))

    assert "login link that was sent earlier no longer works" in wording.advice([changed])
    assert "link" not in wording.advice([replace(changed, incident=had_none)])


def test_a_resolution_before_its_opening_lasted_nothing():
    resolved = notification(EventType.RESOLVED)
    incident = replace(resolved.incident, resolved_at=resolved.incident.opened_at - HOUR)
    facts = wording.facts(replace(resolved, incident=incident), now=NOON, timezone="UTC")

    assert next(iter(facts)).value.startswith("0 s, ")


@pytest.mark.case("new name matches other rules")
@pytest.mark.parametrize(("matched", "shown"), [("Jane Roe", "Jane Roe"), (None, "ignored")])
def test_of_a_new_name_it_is_said_how_the_account_is_matched(matched, shown):
    renamed = notification(
        EventType.NOTICE, detail="rules_changed", person=account(matched_name=matched)
    )

    assert ("Matched as", shown, None) in wording.facts(renamed, now=NOON, timezone="UTC")

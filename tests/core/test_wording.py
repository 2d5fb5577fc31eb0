"""The words of one notification."""

from dataclasses import replace

import pytest
from harness.core import HOUR, NOON
from harness.notifications import account, changed_twice, notification

from monitor.core import wording
from monitor.core.advice import advice
from monitor.core.duration import Duration
from monitor.core.model import Cause, EarlierCause, Status


@pytest.mark.parametrize(
    "link", ["javascript:alert(1)", "https://a b", "https://x\u202e/", "https://x\ny", "//x"]
)
def test_a_link_that_no_browser_should_open_is_none(link):
    signed_out = notification(link=link)

    assert wording.login_link(signed_out) is None
    assert advice([signed_out]).startswith("Reconnect this account in the Linked API")


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
    assert "calls the state “fine'. All is well. 'x”. Until" in advice([case])


def test_of_many_parts_the_first_and_the_last_are_told():
    causes = [Cause.RECONNECTION_REQUIRED, *[Cause.UNKNOWN, Cause.FROZEN] * 2]
    earlier = tuple(EarlierCause(cause, Duration(10 * HOUR)) for cause in causes)
    opened_at = NOON - 98 * HOUR
    ended = changed_twice(earlier=earlier, cause=Cause.RECONNECTION_REQUIRED, opened_at=opened_at)

    assert wording.parts(ended.incident, NOON) == (
        "signed out for 10 h, then in other states for 1 d 6 h, then frozen for 10 h,"
        " then signed out for 2 d"
    )


@pytest.mark.parametrize(
    ("causes", "words"),
    [
        ((), "signed out and back in again and again"),
        ((Cause.FROZEN,), "frozen and active again and again"),
        ((Cause.FROZEN, Cause.RECONNECTION_REQUIRED), "signed out and back in again and again"),
    ],
)
def test_an_account_that_keeps_changing_is_said_to_do_what_it_does(causes, words):
    flapping = notification(cause=Cause.FLAPPING, status=Status.ACTIVE)
    earlier = tuple(EarlierCause(cause, Duration(HOUR)) for cause in causes)
    flapping = replace(flapping, incident=replace(flapping.incident, earlier=earlier, detail=""))

    assert wording.title(flapping) == f"“Jane Doe” is {words}"


def test_the_subject_names_the_cause_that_it_opened_with_to_its_end():
    ended = changed_twice()

    assert wording.thread_title(ended) == "“Jane Doe” is signed out of LinkedIn (acme)"


@pytest.mark.parametrize("status", [Status.ACTIVE, Status.FROZEN, Status.RECONNECTION_REQUIRED])
@pytest.mark.parametrize("cause", [Cause.FLAPPING, Cause.FROZEN, Cause.RECONNECTION_REQUIRED])
def test_the_subject_of_what_kept_changing_stays_whatever_it_is_by_now(status, cause):
    case = notification(cause=cause, status=status)
    earlier = (EarlierCause(Cause.FLAPPING, Duration(HOUR)),)
    case = replace(case, incident=replace(case.incident, earlier=earlier))

    assert wording.thread_title(case) == "“Jane Doe” keeps stopping and working again (acme)"

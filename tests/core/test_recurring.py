"""What people read about what happens again and again."""

from dataclasses import replace

import pytest
from harness.core import NOON
from harness.notifications import account, message, notification

from monitor.core.duration import Duration
from monitor.core.model import Cause, EarlierCause, EventType, Status
from monitor.core.recurring import find_out, how_often
from monitor.core.render import Style, plain_text, render

WEEK = Duration.parse("7d")


def again(event=EventType.OPENED, cause=Cause.RECONNECTION_REQUIRED, times=3, **fields):
    case = notification(event, cause, **fields)
    return replace(case, incident=replace(case.incident, times=times, times_within=WEEK))


def read(*notifications):
    return render(message(*notifications), Style())


@pytest.mark.case("third incident of the same cause in 7 days")
def test_a_third_sign_out_says_so_in_title_subject_and_advice():
    text = read(again())

    assert text.title == "“Jane Doe” is signed out of LinkedIn, the third time in 7 days"
    assert text.thread_title == (
        "“Jane Doe” is signed out of LinkedIn, the third time in 7 days (acme)"
    )
    assert text.lead == (
        "Open Reconnect and log in to LinkedIn. Until then nothing runs on this account. It is the"
        " third sign-out in 7 days: find out whether the password or the two-factor login was"
        " changed, somebody else logs in to the account, or its proxy is in another country than"
        " its owner."
    )


@pytest.mark.parametrize(
    ("cause", "advice"),
    [
        (Cause.FROZEN, "It is the third freeze in 7 days: find out whether payments fail"),
        (Cause.FLAPPING, "It is the third time in 7 days: find out what is behind it."),
        (Cause.UNREACHABLE, "It is the third time in 7 days: find out what is behind it."),
    ],
)
def test_each_cause_has_its_own_reasons(cause, advice):
    text = read(again(cause=cause))

    assert advice in text.lead
    assert ", the third time in 7 days" in text.title
    assert ", the third time in 7 days" in text.thread_title


def test_what_it_has_become_is_no_third_time_but_the_subject_stays():
    changed = again(EventType.CHANGED, Cause.FROZEN)
    text = read(changed)

    assert changed.incident.opening_cause is Cause.RECONNECTION_REQUIRED
    assert text.title == "“Jane Doe” is now frozen by Linked API"
    assert "find out" not in text.lead
    assert "third time in 7 days" in text.thread_title


def test_its_end_is_not_told_as_a_third_time_but_the_subject_stays():
    text = read(again(EventType.RESOLVED))

    assert text.title == "“Jane Doe” is active again"
    assert text.thread_title == read(again()).thread_title


def test_of_many_each_says_how_often():
    other = notification(person=account("John", id_="b2", status=Status.RECONNECTION_REQUIRED))
    text = read(again(), other)

    assert text.title == "2 accounts are signed out of LinkedIn (acme)"
    assert [line.what for line in text.sections[0].lines] == ["third time in 7 days", ""]
    assert "find out" not in plain_text(text)


@pytest.mark.parametrize(
    ("times", "within", "words"),
    [
        (2, "1d", "second time in 1 day"),
        (10, "30d", "tenth time in 30 days"),
        (11, "36h", "11th time in 1 d 12 h"),
        (12, "12h", "12th time in 12 h"),
        (21, "7d", "21st time in 7 days"),
        (22, "7d", "22nd time in 7 days"),
        (23, "7d", "23rd time in 7 days"),
        (100, "7d", "100th time in 7 days"),
        (113, "7d", "113th time in 7 days"),
    ],
)
def test_how_often_is_said_in_words(times, within, words):
    incident = replace(again().incident, times=times, times_within=Duration.parse(within))

    assert how_often(incident) == words


def test_what_does_not_recur_says_nothing():
    incident = notification().incident

    assert how_often(None) == how_often(incident) == find_out(incident) == ""


def test_the_subject_is_that_of_the_opening_whatever_came_since():
    back = again(EventType.REMINDED)
    earlier = (EarlierCause(Cause.FROZEN, Duration(1)),)
    incident = replace(back.incident, earlier=earlier, cause_since=NOON)

    assert how_often(incident) == ""
    assert how_often(incident, of_opening=True) == "third time in 7 days"

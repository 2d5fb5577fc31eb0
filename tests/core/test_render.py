"""What people read."""

from dataclasses import replace

import pytest
from harness.core import HOUR, LINK, NOON
from notifiers.notifications import (
    HOSTILE,
    INVISIBLE,
    account,
    every_notification,
    message,
    notification,
)

from monitor.core.model import Cause, EventType, Resolution, Status
from monitor.core.render import LINES, Tone, render

LOGIN_WORDS = ("log in", "login", "reconnect")


def read(*notifications, timezone="UTC"):
    return render(message(*notifications), timezone=timezone)


def words(text):
    """All that is said, without the links."""
    sections = [
        part
        for one in text.sections
        for part in (one.title, one.lead, *(f"{line.name}, {line.what}" for line in one.lines))
    ]
    facts = [f"{label}: {value}" for label, value in text.facts]
    return "\n".join([text.thread_title, text.title, text.lead, *facts, *sections, *text.notes])


def test_an_opening_says_who_what_since_when_and_what_to_do():
    text = read(notification(), timezone="Europe/Berlin")

    assert text.tone is Tone.BAD
    assert text.title == "Jane Doe is signed out of LinkedIn"
    assert text.lead == (
        "Linked API can do nothing for this account until someone logs in to it again: "
        "open the link and log in to LinkedIn."
    )
    assert dict(text.facts) == {
        "Workspace": "acme",
        "Account id": "d90ac1f6-1111-4222-8333-444455556666",
        "Since": "Mon 23 Nov 2026, 10:55 CET (Europe/Berlin), 2 h 5 min ago",
        "Labels": "team: growth",
    }
    assert text.profile_link == "https://www.linkedin.com/in/jane-doe/"
    assert (text.action.label, text.action.url.reveal()) == ("Reconnect", LINK)


def test_a_resolution_says_how_long_it_lasted():
    text = read(notification(EventType.RESOLVED))

    assert text.tone is Tone.GOOD
    assert text.title == "Jane Doe is active again"
    assert ("Lasted", "2 h 5 min") in text.facts
    assert text.action is None


@pytest.mark.parametrize("told", list(every_notification()), ids=lambda one: f"{one.event}")
def test_everything_reads_as_a_whole(told):
    text = read(told)

    assert text.title
    assert text.lead
    assert len(text.title) <= 140
    assert LINK not in words(text)
    assert "None" not in words(text)
    assert "  " not in words(text)
    assert text.lead.endswith(".")
    assert (text.action is not None) is (told.link is not None)


@pytest.mark.parametrize("event", [EventType.OPENED, EventType.REMINDED, EventType.RESOLVED])
@pytest.mark.parametrize("cause", [Cause.FROZEN, Cause.FLAPPING])
def test_nobody_is_asked_to_log_in_to_a_frozen_account(event, cause):
    told = notification(event, cause, status=Status.FROZEN)

    for text in (read(told), read(told, told)):
        assert not any(word in words(text).lower() for word in LOGIN_WORDS)


def test_many_frozen_accounts_at_once_are_explained_by_the_subscription():
    frozen = [
        notification(cause=Cause.FROZEN, one=account(f"P{i}", id_=f"{i}")) for i in range(332)
    ]

    text = read(*frozen)

    assert text.title == "332 accounts are frozen by Linked API (acme)"
    assert "subscription" in text.sections[0].lead
    assert len(text.sections[0].lines) == LINES
    assert text.sections[0].more == 312


def test_a_change_away_from_a_login_withdraws_the_link():
    text = read(notification(EventType.CHANGED, Cause.FROZEN))

    assert text.title == "Jane Doe is now frozen by Linked API"
    assert text.lead.endswith("A login link sent earlier no longer works.")
    assert ("Before that", "signed out of LinkedIn") in text.facts


@pytest.mark.parametrize(
    ("link_withheld", "words_"),
    [(True, "is not shown here"), (False, "There is no login link")],
)
def test_an_opening_without_a_link_says_what_to_do_instead(link_withheld, words_):
    text = read(replace(notification(link=None), link_withheld=link_withheld))

    assert words_ in text.lead
    assert "reconnect the account in the Linked API platform" in text.lead


@pytest.mark.parametrize(
    "link", ["javascript:alert(1)", "https://a b", "https://x\u202e/", "https://x\ny", "//x"]
)
def test_a_link_that_no_browser_should_open_is_none(link):
    text = read(notification(link=link))

    assert text.action is None
    assert "There is no login link" in text.lead or "is not shown here" in text.lead


def test_all_messages_of_an_incident_have_one_subject():
    told = [notification(event) for event in EventType if event is not EventType.NOTICE]

    texts = [read(one) for one in (*told, notification(EventType.CHANGED, Cause.FROZEN))]

    assert {text.thread_title for text in texts} == {"LinkedIn account problem: Jane Doe (acme)"}
    assert [text.follows for text in texts] == [False, True, True, True, True, True]


def test_a_blind_workspace_says_what_nobody_sees():
    text = read(notification(cause=Cause.TOKEN_REJECTED))

    assert text.title == "Workspace acme cannot be checked: Linked API rejects the token"
    assert "nobody hears of new problems" in text.lead
    assert ("Details", "no answer in 30 s") in text.facts


def test_a_removed_account_and_a_test_are_notices():
    removed = read(notification(EventType.NOTICE, detail="disappeared"))
    test = read(notification(EventType.NOTICE, account=None, workspace="", detail="It works."))

    assert removed.title == "Jane Doe was removed from Linked API"
    assert (test.title, test.lead, test.facts) == ("Test message", "It works.", ())
    assert removed.tone is test.tone is Tone.INFO


def test_the_fallback_learns_who_could_not_be_told():
    text = read(notification(undelivered_to="ops-slack"))

    assert text.notes[0].startswith("Could not be told to ops-slack.")


def test_a_mixed_group_has_a_section_for_each_kind_worst_first():
    signed_out = [notification(one=account(f"Out {i}", id_=f"o{i}")) for i in range(30)]
    back = [notification(EventType.RESOLVED, one=account(f"In {i}", id_=f"i{i}")) for i in range(3)]

    text = read(*signed_out, *back)

    assert text.title == "33 changes at once (acme)"
    titles = [section.title for section in text.sections]
    assert titles == ["30 accounts are signed out of LinkedIn", "3 accounts are active again"]
    assert [(len(one.lines), one.more) for one in text.sections] == [(10, 20), (3, 0)]
    assert text.sections[0].lines[0].action.url.reveal() == LINK
    assert text.sections[1].lines[0].what == "after 2 h 5 min"
    assert text.tone is Tone.BAD


@pytest.mark.row(13)
def test_two_people_of_one_name_are_told_apart():
    twins = [notification(one=account(id_=id_)) for id_ in ("aaaaaaaa-1", "bbbbbbbb-2")]

    lines = read(*twins).sections[0].lines

    assert [line.name for line in lines] == ["Jane Doe (aaaaaaaa)", "Jane Doe (bbbbbbbb)"]


def test_everything_at_once_is_bounded():
    text = read(*every_notification())

    assert len(words(text)) < 10_000
    assert any("of other kinds" in note for note in text.notes)


@pytest.mark.row(12)
@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_names_come_out_tame(name):
    person = account(name, raw_status=name)
    text = read(
        notification(cause=Cause.UNKNOWN, one=person, labels={name: name}, undelivered_to=name)
    )

    said = words(text).replace("\n", "")
    assert not INVISIBLE & set(said)
    assert len(text.thread_title) <= 120
    assert len(text.title) <= 140
    said.encode()


@pytest.mark.parametrize("name", ["", " \u200b\n", "\u3164\u2800"])
def test_a_name_that_shows_nothing_becomes_the_id(name):
    text = read(notification(one=account(name, id_="d90ac1f6")))

    assert text.title == "Account d90ac1f6 is signed out of LinkedIn"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "javascript:alert(1)//linkedin.com",
        "https://linkedin.com.evil.example/in/x",
        "https://www.linkedin.com@evil.example/",
        "https://evil.example\\@www.linkedin.com/",
        "https://[broken",
        f"https://www.linkedin.com/in/{'x' * 5000}",
    ],
)
def test_only_a_linkedin_address_is_a_profile(url):
    assert read(notification(one=account(url=url))).profile_link is None


def test_a_resolution_before_its_opening_lasted_nothing():
    told = notification(EventType.RESOLVED)
    object.__setattr__(told.incident, "resolved_at", told.incident.opened_at - HOUR)

    assert ("Lasted", "0 s") in read(told).facts


def test_every_resolution_reads_differently():
    titles = {read(notification(EventType.RESOLVED, resolution=one)).title for one in Resolution}

    assert len(titles) == len(Resolution)


def test_an_account_that_is_no_longer_watched_is_no_recovery():
    told = notification(EventType.RESOLVED, resolution=Resolution.UNWATCHED)

    one, two = read(told), read(told, replace(told, account=account("Joe", id_="j1")))

    assert one.title == "Jane Doe is no longer watched"
    assert one.lead == (
        "It was taken out of the monitor's configuration; "
        "nobody will hear whether the problem ends."
    )
    assert two.title == "2 accounts are no longer watched (acme)"
    assert "They were taken out of the monitor's configuration" in words(two)
    for text in (one, two):
        assert not any(word in words(text).lower() for word in ("recover", "active again", "over."))
        assert not any(word in words(text).lower() for word in LOGIN_WORDS)


def test_a_workspace_that_is_no_longer_watched_cannot_be_checked_again():
    told = notification(EventType.RESOLVED, Cause.TOKEN_REJECTED, Resolution.UNWATCHED)

    text = read(told)

    assert text.title == "Workspace acme is no longer watched"
    assert text.lead.startswith("It was taken out of the monitor's configuration")
    assert "again" not in words(text)


def test_times_are_those_of_the_zone():
    assert "Mon 23 Nov 2026, 09:55 UTC, 2 h" in words(read(notification()))
    assert "15:25 IST (Asia/Kolkata)" in words(read(notification(), timezone="Asia/Kolkata"))
    assert message().now == NOON


def test_who_acknowledged_a_problem_is_said():
    known = notification()
    acknowledged = replace(known.incident, acknowledged_by="ops\u202e", acknowledged_at=NOON)

    text = read(replace(known, incident=acknowledged))

    assert ("Acknowledged by", "ops") in text.facts


def test_several_removed_accounts_are_one_message():
    removed = [
        notification(
            EventType.NOTICE, one=account(f"Person {n}", id_=f"a{n}"), detail="disappeared"
        )
        for n in range(3)
    ]

    text = read(*removed)

    assert len(text.sections[0].lines) == 3
    assert "Person 0" in words(text)


def test_a_problem_of_this_minute_began_just_now():
    known = notification()
    fresh = replace(known.incident, opened_at=NOON)

    facts = dict(read(replace(known, incident=fresh)).facts)

    assert facts["Since"].endswith("just now")

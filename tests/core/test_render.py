"""What people read."""

import re
from dataclasses import replace

import pytest
from harness.core import LINK, MINUTE, NOON
from harness.notifications import (
    ADDRESS,
    HOSTILE,
    INVISIBLE,
    account,
    every_notification,
    message,
    notification,
    undelivered,
)
from harness.snapshots import TextFile

from monitor.core.model import Cause, EventType, Resolution, Status
from monitor.core.render import MAX_LINES, NEARLY, Style, Tone, fit, render, with_lines

LOGIN_WORDS = ("log in", "login", "reconnect")


def read(*notifications):
    return render(message(*notifications), Style())


def words(text):
    """All that is said, without the links."""
    sections = []
    for section in text.sections:
        lines = (f"{line.name}, {line.what}" for line in section.lines)
        sections += [section.title, section.lead, *lines, section.rest]
    facts = [f"{label}: {value}" for label, value, _ in text.facts]
    return "\n".join([text.thread_title, text.title, text.lead, *facts, *sections, *text.notes])


@pytest.mark.parametrize("event", EventType)
def test_wording(event, snapshot):
    """What is said of one account or workspace, then of two; causes said alike stand together."""
    causes = {}
    for case in every_notification():
        if case.event is event:
            lines = [line for text in (read(case), read(case, case)) for line in head(text)]
            causes.setdefault("\n".join(filter(None, lines)), {})[describe(case)] = None

    entries = [f"# {', '.join(names)}\n{wording}\n" for wording, names in causes.items()]
    assert "\n".join(entries) == snapshot(extension_class=TextFile)


def head(text):
    return (f"{text.symbol} {text.title}", text.lead, *(section.lead for section in text.sections))


def describe(case):
    incident = case.incident
    if incident is None:
        return case.detail
    status = f" ({incident.status})" if incident.cause is Cause.FLAPPING else ""
    ending = f" {incident.resolution}" if incident.resolution else ""
    return f"{incident.cause}{status}{ending}{' with a link' if case.link else ''}"


@pytest.mark.parametrize("case", list(every_notification()), ids=lambda case: f"{case.event}")
def test_everything_reads_as_a_whole(case):
    text = read(case)

    assert text.title
    assert text.lead
    assert len(text.title) <= 140
    assert LINK not in words(text)
    assert "None" not in words(text)
    assert "  " not in words(text)
    assert text.lead.endswith(".")
    is_login = text.action is not None and text.action.label == "Reconnect"
    assert is_login is (case.link is not None)


@pytest.mark.parametrize("event", [EventType.OPENED, EventType.REMINDED, EventType.RESOLVED])
@pytest.mark.parametrize("cause", [Cause.FROZEN, Cause.FLAPPING])
def test_nobody_is_asked_to_log_in_to_a_frozen_account(event, cause):
    frozen = notification(event, cause, status=Status.FROZEN)

    for text in (read(frozen), read(frozen, frozen)):
        assert not any(word in words(text).lower() for word in LOGIN_WORDS)


def test_what_a_flapping_account_is_right_now_is_what_was_seen_last():
    active = account(status=Status.ACTIVE)

    text = read(notification(cause=Cause.FLAPPING, status=Status.FROZEN, person=active))

    assert "at the moment: the account is active" in words(text)


def test_all_messages_of_an_incident_have_one_subject():
    cases = [notification(event) for event in EventType if event is not EventType.NOTICE]

    texts = [read(case) for case in (*cases, notification(EventType.CHANGED, Cause.FROZEN))]

    assert {text.thread_title for text in texts} == {"“Jane Doe” is signed out of LinkedIn (acme)"}
    assert [text.follows for text in texts] == [False, *[True] * 7]


@pytest.mark.case("Linked API itself is away")
def test_an_outage_is_told_of_most_workspaces():
    opened, resolved = (
        read(notification(event, Cause.UNREACHABLE, workspace="*"))
        for event in (EventType.OPENED, EventType.RESOLVED)
    )

    assert opened.title == "Most workspaces cannot be checked: Linked API does not answer"
    assert resolved.title == "Most workspaces can be checked again"
    assert opened.thread_title == resolved.thread_title == opened.title
    assert "*" not in words(opened) + words(resolved)
    assert opened.lead.endswith("Until then nobody hears of new problems with their accounts.")
    assert resolved.lead.startswith("Nothing to do. For 2 h 5 min nothing could be seen")
    limited = read(notification(EventType.OPENED, Cause.RATE_LIMITED, workspace="*"))
    assert limited.lead == opened.lead, "not one token is to blame"


@pytest.mark.odd_input("two accounts of one name")
def test_two_people_of_one_name_are_told_apart():
    twins = [notification(person=account(id_=id_)) for id_ in ("aaaaaaaa-1", "bbbbbbbb-2")]

    lines = read(*twins).sections[0].lines

    assert [line.name for line in lines] == ["“Jane Doe” (aaaaaaaa)", "“Jane Doe” (bbbbbbbb)"]


def test_a_group_is_as_bad_as_its_worst_member():
    cases = [notification(EventType.RESOLVED), notification(EventType.NOTICE), notification()]

    assert [read(*cases[:size]).tone for size in (1, 2, 3)] == [Tone.GOOD, Tone.INFO, Tone.BAD]


def test_everything_at_once_has_a_section_for_each_kind():
    text = read(*every_notification())

    assert text.listed == len(list(every_notification()))
    assert len({section.title for section in text.sections}) == len(text.sections)


def test_a_subject_holds_40_characters_of_a_workspace():
    subject = read(notification(workspace="w" * 41)).thread_title

    assert subject.endswith(f"({'w' * 39}…)")


@pytest.mark.odd_input("hostile name")
@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_names_come_out_tame(name):
    person, copy = account(name, raw_status=name), undelivered(name, name)
    text = read(
        notification(
            cause=Cause.UNKNOWN,
            person=person,
            labels={name: name},
            undelivered=copy,
        )
    )

    shown = words(text).replace("\n", "")
    assert not INVISIBLE & set(shown)
    assert len(text.thread_title) <= 120
    assert len(text.title) <= 140
    shown.encode()


@pytest.mark.odd_input("hostile name")
def test_nothing_that_others_wrote_becomes_a_link():
    address = "www.evil.example/x"
    person = account(address, id_="e@evil.example", raw_status="http://evil", url=address)
    of_others = {"workspace": "acme.example", "labels": {"x.example": "a@b.example"}}
    copy = undelivered(address, address)
    unknown = notification(cause=Cause.UNKNOWN, person=person, undelivered=copy, **of_others)
    blind = notification(cause=Cause.BAD_RESPONSE, detail=f"see {address}", **of_others)

    for cases in ([unknown], [blind], [unknown, blind], [unknown, unknown]):
        times = re.compile(r"\d\d:\d\d")
        assert not ADDRESS.search(times.sub("", words(read(*cases))))


@pytest.mark.parametrize("cause", [Cause.RECONNECTION_REQUIRED, Cause.TOKEN_REJECTED])
def test_what_is_no_longer_watched_is_no_recovery(cause):
    unwatched = notification(EventType.RESOLVED, cause, Resolution.UNWATCHED)

    for text in (read(unwatched), read(unwatched, unwatched)):
        assert not any(
            word in words(text).lower()
            for word in ("recover", "active", "again", "over.", *LOGIN_WORDS)
        )


@pytest.mark.parametrize(("count", "others"), [(5, []), (6, ["Nor could 1 more."])])
def test_a_fallback_reads_five_names_of_those_who_could_not_be_told(count, others):
    copies = [notification(undelivered=undelivered(f"r{number}")) for number in range(count)]

    notes = read(*copies).notes

    assert [note.split()[6] for note in notes[:5]] == ["“r0”", "“r1”", "“r2”", "“r3”", "“r4”"]
    assert list(notes[5:]) == others


def test_the_name_of_a_workspace_takes_up_no_more_of_a_title_than_forty_characters():
    long = notification(EventType.OPENED, workspace="w" * 64)

    assert read(long, long).title.endswith(f" ({'w' * 39}…)")


STYLE = Style(billing_url="https://billing.example", prefix="[staging]", monitor="prod", host="h1")


@pytest.mark.parametrize(
    ("case", "label"),
    [
        (notification(), "Reconnect"),
        (notification(cause=Cause.FROZEN), "Billing"),
        (notification(cause=Cause.FLAPPING, status=Status.FROZEN), "Billing"),
        (notification(EventType.RESOLVED, Cause.FROZEN), None),
        (notification(cause=Cause.UNREACHABLE), None),
    ],
)
def test_what_to_open_is_what_brings_the_account_back(case, label):
    action = render(message(case), STYLE).action

    assert (action and action.label) == label
    assert label != "Billing" or action.url.reveal() == "https://billing.example"


def test_billing_is_once_in_a_group_beside_those_whom_it_concerns():
    text = render(message(notification(), notification(cause=Cause.FROZEN)), STYLE)
    alone = render(message(*[notification(cause=Cause.FROZEN)] * 2), STYLE)

    assert text.action is None
    labels = [section.action and section.action.label for section in text.sections]
    assert labels == [None, "Billing"]
    assert alone.action.label == "Billing"
    assert alone.sections[0].action is None


def test_all_titles_begin_with_the_prefix():
    for cases in ((notification(),), (notification(), notification(cause=Cause.FROZEN))):
        text = render(message(*cases), STYLE)

        assert text.title.startswith("[staging] ")
        assert text.thread_title.startswith("[staging] ")


@pytest.mark.parametrize("monitor", ["prod", "h1"])
def test_a_test_message_names_receiver_host_and_time(monitor):
    test = notification(EventType.NOTICE, account=None, workspace="", detail="x")

    facts = render(message(test), replace(STYLE, monitor=monitor)).facts

    named = [("Monitor", "prod", None)] if monitor == "prod" else []
    assert facts == (
        ("Sent", "Mon 23 Nov 2026, 12:00 UTC", None),
        ("Receiver", "ops", None),
        *named,
        ("Host", "h1", None),
    )


@pytest.mark.parametrize(
    ("event", "resolution", "tone"),
    [
        (EventType.NOTICE, None, Tone.BAD),
        (EventType.NOTICE, Resolution.RECOVERED, Tone.GOOD),
        (EventType.NOTICE, Resolution.UNWATCHED, Tone.INFO),
        (EventType.OPENED, None, Tone.BAD),
    ],
)
def test_a_copy_for_the_fallback_says_why_in_the_tone_of_its_incident(event, resolution, tone):
    happened = EventType.RESOLVED if resolution else EventType.OPENED
    case = notification(happened, resolution=resolution)
    text = read(replace(case, event=event, undelivered=undelivered()))

    assert text.tone is tone
    (note,) = text.notes
    assert note == (
        "You get this as the fallback: “crm” could not be told since Mon 23 Nov 2026, 11:50 UTC"
        " (answered 404 Not Found)."
    )


def test_since_when_a_receiver_fails_is_never_in_the_future():
    copy = undelivered()._replace(since=NOON + 1_000_000_000)

    (note,) = read(notification(undelivered=copy)).notes

    assert "since Mon 23 Nov 2026, 12:00 UTC" in note


def test_reminders_of_several_say_still():
    reminders = [notification(EventType.REMINDED, cause) for cause in (Cause.FROZEN, Cause.UNKNOWN)]
    both, same = read(*reminders), read(*reminders[:1] * 2)

    assert both.title == "2 accounts still need attention (acme)"
    assert same.title == "2 accounts are still frozen by Linked API (acme)"
    assert read(*reminders, notification()).title == "3 accounts need attention (acme)"


def test_several_recoveries_are_no_changes():
    ends = [notification(EventType.RESOLVED), notification(EventType.RESOLVED, Cause.UNREACHABLE)]

    assert read(*ends).title == "2 problems are over (acme)"
    assert read(*ends, notification()).title == "3 changes (acme)"


def at(*minutes):
    """Openings so many minutes ago."""
    for number, ago in enumerate(minutes):
        case = notification(person=account(id_=f"{number}"))
        yield replace(case, incident=replace(case.incident, cause_since=NOON - ago * MINUTE))


@pytest.mark.parametrize(
    ("minutes", "fact", "lines"),
    [
        ((5, 5), ("Since", "Mon 23 Nov 2026, 11:55 UTC", None), ["", ""]),
        (
            (5, 65),
            ("On", "Mon 23 Nov 2026, times in UTC", None),
            ["since 11:55", "since 10:55"],
        ),
        (
            (5, 24 * 60),
            None,
            ["since Mon 23 Nov 2026, 11:55 UTC", "since Sun 22 Nov 2026, 12:00 UTC"],
        ),
    ],
)
def test_the_date_stands_once_where_it_is_the_same(minutes, fact, lines):
    text = read(*at(*minutes))

    assert text.facts == ((fact,) if fact else ())
    assert [line.what for line in text.sections[0].lines] == lines


def test_a_time_that_is_not_of_all_is_not_said_of_all():
    text = read(*at(5, 5), notification(EventType.RESOLVED))

    assert [fact.label for fact in text.facts] == ["On"]


def group(*sizes):
    """A message with so many of each kind."""
    causes = (Cause.RECONNECTION_REQUIRED, Cause.FROZEN, Cause.UNKNOWN)
    return read(
        *(
            notification(cause=cause, person=account(f"{cause} {number}", id_=f"{number}"))
            for cause, size in zip(causes, sizes, strict=False)
            for number in range(size)
        )
    )


@pytest.mark.parametrize(
    ("sizes", "room", "listed"),
    [
        ((3, 40), 20, [3, 17]),
        ((40, 3), 20, [17, 3]),
        ((40, 40), 20, [10, 10]),
        ((10, 40), 20, [10, 10]),
        ((11, 40), 20, [9, 11]),
        ((10,), 9, [8]),
        ((10, 10, 10), 30, [10, 10, 10]),
        ((10, 10, 10), 0, [0, 0, 0]),
    ],
)
def test_sections_give_on_the_room_that_they_do_not_need_and_leave_out_no_single_one(
    sizes, room, listed
):
    text = with_lines(group(*sizes), room)

    assert [len(section.lines) for section in text.sections] == listed
    assert [section.unlisted for section in text.sections] == [
        size - lines for size, lines in zip(sizes, listed, strict=True)
    ]


@pytest.mark.parametrize("limit", [99, 100, 130, 1100, 4100, 6079, 6100])
@pytest.mark.parametrize("uneven", [0, 90])
def test_as_many_are_listed_as_there_is_room_for(limit, uneven):
    sizes = []

    def size(text):
        sizes.append(100 + text.listed * 100 + min(text.listed, 10) * uneven)
        return sizes[-1]

    text = fit(group(40, 20), size, limit)

    assert size(text) <= max(limit, 100)
    assert text.listed == 60 or size(text) > limit * NEARLY - 300
    assert sum(section.unlisted for section in text.sections) == 60 - text.listed
    assert len(sizes) <= 12


def test_no_room_is_looked_for_that_would_leave_out_a_single_one():
    text = fit(group(3), lambda text: 1000 * text.listed, 2900)

    assert text.listed == 1


def test_who_is_not_listed_is_said_to_be_where_all_are():
    many = group(MAX_LINES + 10)
    ends = read(*[notification(EventType.RESOLVED)] * (MAX_LINES + 10))
    blind = read(*[notification(cause=Cause.UNREACHABLE)] * (MAX_LINES + 10))

    assert many.listed == MAX_LINES
    rests = [text.sections[0].rest for text in (many, ends, blind)]
    assert rests == [
        "10 more: run “linkedapi-monitor accounts --bad --show-links”",
        "10 more: run “linkedapi-monitor incidents --all”",
        "10 more: run “linkedapi-monitor workspaces”",
    ]


def test_lines_of_a_group_have_the_ids_that_somebody_has_to_do_something_with():
    people = [account(id_=f"old-{n}", replaced_by=f"new-{n}") for n in (1, 2)]
    ends = [notification(EventType.RESOLVED, resolution=Resolution.REPLACED, person=people[0])] * 2
    notices = [notification(EventType.NOTICE, detail="replaced", person=each) for each in people]
    renamed = notification(EventType.NOTICE, detail="rules_changed", person=account(id_="a1"))

    assert lines(*ends)[0] == "signed out for 2 h 5 min, old id: “old-1” → new id “new-1”"
    assert lines(*notices) == [f"12:00, old id: “old-{n}” → new id “new-{n}”" for n in (1, 2)]
    assert lines(renamed, renamed)[0] == "12:00, id “a1”"


def lines(*notifications):
    """What a group of *notifications* says of each."""
    return [line.what for section in read(*notifications).sections for line in section.lines]


def test_the_line_of_a_workspace_has_the_details_that_its_section_speaks_of():
    blind = notification(cause=Cause.BAD_RESPONSE)

    assert lines(blind, notification())[0] == "no answer in 30 s"

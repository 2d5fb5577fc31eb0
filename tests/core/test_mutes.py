"""What is muted, for whom and until when."""

import pytest
from harness.core import HOUR, NOON
from pydantic import TypeAdapter, ValidationError

from monitor.core.model import Cause, Event, EventType, Reason
from monitor.core.mutes import Mute, MuteRule, Mutes
from monitor.core.route import Match
from monitor.core.time_of_day import END_OF_TIME

READ = TypeAdapter(MuteRule).validate_python
ONCE = {"from": "2026-12-24T12:00", "until": "2026-12-27T08:00"}


def event(cause=Cause.FROZEN, account="a1"):
    return Event("e", EventType.OPENED, NOON, "acme", account, "i", Reason.SEEN_BAD, cause)


def muted(*rules, until=NOON + HOUR):
    return Mutes(tuple(Mute(rule, until + place) for place, rule in enumerate(rules)))


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({}, "needs an end: until, or cron with for"),
        ({"from": "2026-12-24T12:00"}, "needs an end"),
        ({"cron": "0 22 * * *"}, "needs cron and for together"),
        ({"for": "8h"}, "needs cron and for together"),
        ({"cron": "0 22 * * *", "for": "8h", "until": "forever"}, "keep one of both"),
        ({"cron": "0 22 * * *", "for": "8h", "from": "2026-12-24"}, "keep one of both"),
        ({"cron": "0 22 * * *", "for": "31d"}, "must be from 1m to 30d"),
        ({"from": "2026-12-24", "until": "2026-12-24"}, "until must be later than from"),
        ({"until": "2026-12-24"}, "of everything needs from"),
        ({"from": "2026-12-01", "until": "2027-01-01"}, "must not be longer than 30d"),
        ({"until": "tomorrow", "to": ["ops"]}, "must be a time such as 2026-12-24T18:00"),
        ({**ONCE, "timezone": "Mars"}, "time zone such as"),
        ({**ONCE, "whom": "me"}, "whom"),
    ],
)
def test_a_mute_that_makes_no_sense_is_refused(rule, message):
    with pytest.raises(ValidationError, match=message):
        READ(rule)


@pytest.mark.parametrize(
    "rule",
    [
        {"until": "forever"},
        {"from": "2026-12-01", "until": "2026-12-31"},
        {"until": "2099-01-01", "to": ["ops"]},
        {"until": "2099-01-01", "match": {"cause": "frozen"}},
        {"cron": "0 22 * * *", "for": "8h"},
    ],
)
def test_any_other_mute_is_fine(rule):
    assert READ(rule)


def test_times_are_those_of_the_time_zone_unless_they_name_an_offset():
    rule = READ({"from": "2026-11-23T13:00", "until": "2026-11-23T13:00:00Z", "to": ["ops"]})

    assert rule.times("Europe/Berlin") == (NOON, NOON + HOUR)
    assert READ({**ONCE, "timezone": "UTC"}).times("Mars") == READ(ONCE).times("UTC")
    assert READ({"until": "forever"}).times("UTC") == (0, END_OF_TIME)


def test_of_several_mutes_the_latest_counts():
    everything, frozen = (
        MuteRule(until="forever"),
        MuteRule(match=Match(causes=(Cause.FROZEN,)), until="forever"),
    )

    mutes = muted(everything, frozen)

    assert mutes.until(event(), None, {}, "ops") == NOON + HOUR + 1
    assert mutes.until(event(Cause.UNKNOWN), None, {}, "ops") == NOON + HOUR
    assert Mutes().until(event(), None, {}, "ops") is None


def test_quiet_hours_of_one_receiver_are_nobody_elses():
    mutes = muted(MuteRule(until="forever", to=("ops",)))

    assert mutes.until(event(), None, {}, "ops") == NOON + HOUR
    assert mutes.until(event(), None, {}, "pager") is None
    assert mutes.until(event(), None, {}, None) is None
    assert mutes.until_for_all(event(), None, {}, ["ops", "pager"]) is None
    assert mutes.until_for_all(event(), None, {}, ["ops"]) == NOON + HOUR
    assert mutes.until_for_all(event(), None, {}, []) is None


def test_all_are_muted_until_the_first_of_them_is_not():
    mutes = muted(MuteRule(until="forever", to=("ops",)), MuteRule(until="forever", to=("pager",)))

    assert mutes.until_for_all(event(), None, {}, ["pager", "ops"]) == NOON + HOUR

"""The details of one notification."""

from dataclasses import replace

import pytest
from harness.core import HOUR, NOON, CoreHarness, listed_account
from harness.notifications import account, changed_twice, notification

from monitor.core.advice import advice
from monitor.core.details import facts
from monitor.core.model import Cause, EventType
from monitor.core.text import bare


def details(notification):
    """Each detail with its value, as told at noon."""
    return {fact.label: fact.value for fact in facts(notification, now=NOON, timezone="UTC")}


def test_details_come_by_use_the_id_last():
    labels = {"team": "growth", "owner": "jane@example.com"}

    names = [*details(notification(labels=labels))]

    assert names == ["Since", "Workspace", "Owner", "Labels", "Profile", "Account id"]


@pytest.mark.case("acknowledged")
def test_who_has_taken_it_over_is_named_with_until_when_and_why():
    reminded = notification(EventType.REMINDED)
    taken = replace(reminded.incident, acknowledged_by="Ann", acknowledged_at=NOON)
    claimed = replace(
        taken,
        acknowledged_login="root@web1",
        acknowledged_until=NOON + HOUR,
        acknowledged_reason="see http://evil.example\u202e",
    )

    assert "Acknowledged by" not in details(reminded)
    assert details(replace(reminded, incident=taken))["Acknowledged by"] == "Ann"
    shown = details(replace(reminded, incident=claimed))
    assert bare(shown["Acknowledged by"]) == (
        "Ann (said to be, by root@web1), until Mon 23 Nov 2026, 13:00 UTC"
    )
    assert shown["Reason"] != bare(shown["Reason"]) == "see http://evil.example"


def test_a_resolution_before_its_opening_lasted_nothing():
    resolved = notification(EventType.RESOLVED)
    incident = replace(resolved.incident, resolved_at=resolved.incident.opened_at - HOUR)

    assert details(replace(resolved, incident=incident))["Lasted"].startswith("0 s, ")


@pytest.mark.case("new name matches other rules")
@pytest.mark.parametrize(("matched", "shown"), [("Jane Roe", "Jane Roe"), (None, "ignored")])
def test_of_a_new_name_it_is_said_how_the_account_is_matched(matched, shown):
    renamed = notification(
        EventType.NOTICE, detail="rules_changed", person=account(matched_name=matched)
    )

    assert details(renamed)["Matched as"] == shown


def test_of_what_goes_on_the_present_part_counts_and_the_earlier_ones_are_told():
    reminded = replace(changed_twice(resolved_at=None), event=EventType.REMINDED)

    reminder = details(reminded)

    assert reminder["Since"] == "Sat 21 Nov 2026, 12:00 UTC, 2 d ago"
    assert reminder["Before that"] == "signed out for 4 h"


def test_what_is_over_lasted_as_long_as_all_its_parts():
    assert details(changed_twice())["Lasted"] == (
        "2 d 4 h, Sat 21 Nov 2026, 08:00 to Mon 23 Nov 2026, 12:00 UTC"
    )


@pytest.mark.case("another workspace's token pasted")
def test_what_to_do_about_a_strange_list_is_what_its_details_say():
    harness = CoreHarness()
    harness.poll(*map(listed_account, ("a1", "a2", "a3")))
    for _ in range(6):
        harness.poll(listed_account("b1"))
    blind = notification(cause=Cause.BAD_RESPONSE)
    blind = replace(blind, incident=harness.open[0], detail="")

    assert advice([blind]).startswith("See in the details what is wrong, and do what they")
    shown = details(blind)["Details"]
    assert shown.endswith("If that is right: linkedapi-monitor workspaces accept acme")


def test_the_details_are_those_of_the_present_cause_however_late_a_message_leaves():
    opened = notification(cause=Cause.TOKEN_REJECTED, detail="no answer in 30 s")
    ended = notification(EventType.RESOLVED, Cause.TOKEN_REJECTED, detail="its list was accepted")
    present = "the token is not valid"
    opened, ended = (
        replace(case, incident=replace(case.incident, detail=present)) for case in (opened, ended)
    )

    assert details(opened)["Details"] == present
    assert details(ended)["Details"] == "its list was accepted"


def test_where_nobody_said_why_there_are_no_details():
    blind = notification(cause=Cause.UNREACHABLE)
    silent = replace(blind, incident=replace(blind.incident, detail=""))

    assert "Details" in details(blind)
    assert "Details" not in details(silent)

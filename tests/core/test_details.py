"""The details of one notification."""

from dataclasses import replace

import pytest
from harness.core import HOUR, NOON
from harness.notifications import account, changed_twice, notification

from monitor.core.details import facts
from monitor.core.model import EventType


def details(notification):
    """Each detail with its value, as told at noon."""
    return {fact.label: fact.value for fact in facts(notification, now=NOON, timezone="UTC")}


def test_details_come_by_use_the_id_last():
    labels = {"team": "growth", "owner": "jane@example.com"}

    names = [*details(notification(labels=labels))]

    assert names == ["Since", "Workspace", "Owner", "Labels", "Profile", "Account id"]


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

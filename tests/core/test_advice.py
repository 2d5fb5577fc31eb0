"""What people are asked to do."""

from dataclasses import replace

import pytest
from harness.core import HOUR
from harness.notifications import account, changed_twice, notification

from monitor.core.advice import advice
from monitor.core.duration import Duration
from monitor.core.model import Cause, EarlierCause, EventType
from monitor.core.wording import title


def test_an_end_of_which_no_more_is_known_is_an_end():
    ended = replace(notification(EventType.RESOLVED), incident=None)

    assert advice([ended]) == "Nothing to do."


@pytest.mark.case("signed out, then frozen, then active")
def test_each_part_of_what_changed_its_cause_is_told_with_its_span():
    ended = changed_twice()

    assert advice([ended]) == "Nothing to do. Signed out for 4 h, then frozen for 2 d."


def test_after_a_change_only_what_had_a_login_link_says_that_it_is_void():
    changed = notification(EventType.CHANGED, Cause.FROZEN)
    had_none = replace(changed.incident, earlier=(EarlierCause(Cause.UNKNOWN, Duration(HOUR)),))

    assert "login link that was sent earlier no longer works" in advice([changed])
    assert "link" not in advice([replace(changed, incident=had_none)])


def test_of_several_that_changed_each_may_have_had_a_login_link():
    unknown = (EarlierCause(Cause.UNKNOWN, Duration(HOUR)),)
    changed = notification(EventType.CHANGED, Cause.FROZEN)
    had_none = replace(changed, incident=replace(changed.incident, earlier=unknown))

    assert "login link that was sent earlier" in advice([had_none, changed])
    assert "login link" not in advice([had_none, had_none])


@pytest.mark.parametrize(
    ("opened_as", "is_void"), [("reconnection_required", True), ("frozen", False)]
)
def test_a_login_link_that_was_sent_while_an_account_kept_changing_is_void_after_it(
    opened_as, is_void
):
    flapping = (EarlierCause(Cause.FLAPPING, Duration(HOUR)),)
    changed = notification(EventType.CHANGED, Cause.UNKNOWN)
    incident = replace(changed.incident, earlier=flapping, detail=opened_as)

    lead = advice([replace(changed, incident=incident)])

    assert ("A login link that was sent earlier no longer works." in lead) is is_void


def test_who_was_replaced_has_an_old_id_and_a_new_one():
    person = account(id_="old-1", replaced_by="new”. x “2")
    notice = notification(EventType.NOTICE, detail="replaced", person=person)

    assert title(notice) == "“Jane Doe” was replaced by a new connection"
    assert advice([notice]) == (
        "Nothing to do, unless something of yours uses the old id: “old-1” → new id “new'. x '2”."
    )
    assert advice([replace(notice, account=account())]).endswith("the old id.")


@pytest.mark.case("escalation step due")
def test_who_is_called_hears_that_nobody_has_it():
    for count, whom in ((1, "it"), (2, "them")):
        escalated = [notification(EventType.ESCALATED)] * count
        assert advice(escalated).endswith(f"Nobody has taken {whom} over so far.")

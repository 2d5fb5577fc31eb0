"""Incidents: counted, due, put off."""

import pytest
from harness.core import HOUR, NOON, frozen, listed_account, signed_out
from harness.leases import REPLICA, hold

from monitor.core.duration import Duration
from monitor.core.model import Cause
from monitor.store import incidents


def subjects(harness, ids):
    """What the incidents *ids* are about."""
    return [harness.run(lambda tx, id_=id_: incidents.load(tx, id_)).subject for id_ in ids]


def test_open_incidents_are_counted_by_cause(harness):
    harness.poll(signed_out("a"), frozen("b"), frozen("c"))

    counted = harness.run(lambda tx: incidents.open_by_cause(tx, "acme"))

    assert counted == {"reconnection_required": 1, "frozen": 2}


def test_an_incident_keeps_what_its_earlier_causes_were(harness):
    harness.poll(signed_out("a"))
    harness.poll(frozen("a"), after=HOUR)

    (incident,) = harness.run(lambda tx: incidents.load_open(tx, "acme")).values()

    assert incident.earlier == ((Cause.RECONNECTION_REQUIRED, HOUR),)
    assert (incident.opening_cause, incident.cause) == ("reconnection_required", "frozen")


def test_an_incident_that_makes_us_fail_is_moved_out_of_the_way(harness):
    harness.poll(signed_out())
    harness.now += HOUR
    _, (due,) = harness.run(lambda tx: incidents.due(tx, REPLICA, harness.now, limit=9))

    harness.run(lambda tx: incidents.postpone(tx, due, now=harness.now, until=harness.now + HOUR))

    assert harness.run(lambda tx: incidents.due(tx, REPLICA, harness.now, limit=9)) is None


def test_a_workspace_that_left_is_not_due_until_it_is_back_and_holds_up_no_other(harness):
    def due():
        _, ids = harness.run(lambda tx: incidents.due(tx, REPLICA, harness.now, limit=10))
        return subjects(harness, ids)

    harness.poll(signed_out("old"))
    harness.detach()
    harness.attach("beta")
    harness.poll(signed_out("new"))
    harness.now += HOUR
    assert due() == ["new"]

    harness.attach("acme")
    harness.poll(signed_out("old"))

    assert due() == ["old"]


def test_what_is_due_of_another_replica_is_its_own(harness):
    harness.poll(*map(signed_out, "abcd"))
    harness.attach("beta")
    harness.poll(signed_out("ours"))
    harness.run(lambda tx: hold(tx, "acme", replica="another", silent={REPLICA: NOON}))
    harness.now += HOUR

    workspace, due = harness.run(lambda tx: incidents.due(tx, REPLICA, harness.now, limit=1))

    assert (workspace, subjects(harness, due)) == ("beta", ["ours"])


def test_what_has_been_due_longest_comes_first(harness):
    harness.poll(signed_out("a"))
    harness.poll(signed_out("a"), signed_out("b"))
    harness.now += HOUR

    _, due = harness.run(lambda tx: incidents.due(tx, REPLICA, harness.now, limit=1))

    assert subjects(harness, due) == ["a"]


@pytest.mark.case("third incident of the same cause in 7 days")
def test_an_incident_is_counted_by_the_cause_that_it_opened_with_and_by_when(harness):
    harness.poll(signed_out("a"), frozen("b"))
    harness.poll(frozen("a"), frozen("b"))
    harness.poll(listed_account("a"), listed_account("b"))
    at = harness.now
    harness.poll(signed_out("a"), listed_account("b"))

    def opened(*subjects, since=NOON):
        return harness.run(lambda tx: incidents.opened_since(tx, "acme", subjects, since=since))

    assert {(it.subject, str(it.cause)) for it in opened("a", "b")} == {
        ("a", "reconnection_required"),
        ("b", "frozen"),
    }
    assert len(opened("a", "c")) == 2
    assert len(opened("a", since=at)) == 1
    assert opened("a", since=harness.now) == opened() == []


@pytest.mark.case("third incident of the same cause in 7 days")
def test_the_third_sign_out_in_7_days_is_marked_and_one_that_is_older_does_not_count(harness):
    times = []
    for after in (HOUR, HOUR, HOUR, Duration.parse("8d")):
        harness.poll(signed_out("a"), after=after)
        (incident,) = harness.run(lambda tx: incidents.load_open(tx, "acme")).values()
        times.append(incident.times)
        harness.poll(listed_account("a"))

    assert times == [None, None, 3, None]
    assert harness.column("SELECT times FROM event ORDER BY id")[-8:] == [
        *(None, None, None, None),
        *(3, 3),
        *(None, None),
    ]


@pytest.mark.case("third incident of the same cause in 7 days")
def test_a_person_who_is_connected_anew_goes_on_to_be_counted(harness):
    both = {"url": "https://www.linkedin.com/in/jane/"}
    other = listed_account("other")
    for _ in range(2):
        harness.poll(signed_out("old", **both), other)
        harness.poll(listed_account("old", **both), other)
    for _ in range(3):
        harness.poll(listed_account("new", **both), other)

    harness.poll(signed_out("new", **both), other)

    (incident,) = harness.run(lambda tx: incidents.load_open(tx, "acme")).values()
    assert (incident.subject, incident.times) == ("new", 3)

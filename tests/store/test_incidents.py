"""Incidents: counted, due, put off."""

from harness.core import HOUR, NOON, frozen, signed_out
from harness.leases import REPLICA, hold

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

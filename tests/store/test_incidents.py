"""Incidents: counted, due, put off."""

from harness.core import HOUR, frozen, signed_out

from monitor.store import incidents


def subjects(harness, ids):
    """What the incidents *ids* are about."""
    return [harness.run(lambda tx, id_=id_: incidents.load(tx, id_)).subject for id_ in ids]


def test_open_incidents_are_counted_by_cause(harness):
    harness.poll(signed_out("a"), frozen("b"), frozen("c"))

    counted = harness.run(lambda tx: incidents.open_by_cause(tx, "acme"))

    assert counted == {"reconnection_required": 1, "frozen": 2}


def test_an_incident_that_makes_us_fail_is_moved_out_of_the_way(harness):
    harness.poll(signed_out())
    harness.now += HOUR
    (due,) = harness.run(lambda tx: incidents.due(tx, harness.now, limit=9))

    harness.run(lambda tx: incidents.postpone(tx, due, now=harness.now, until=harness.now + HOUR))

    assert harness.run(lambda tx: incidents.due(tx, harness.now, limit=9)) == []


def test_nothing_is_due_in_a_workspace_that_left(harness):
    harness.poll(signed_out())
    harness.detach()
    harness.now += HOUR
    assert harness.run(lambda tx: incidents.due(tx, harness.now, limit=10)) == []

    harness.attach()
    harness.poll(signed_out())

    assert len(harness.run(lambda tx: incidents.due(tx, harness.now, limit=10))) == 1


def test_what_is_due_elsewhere_is_not_held_up_by_a_workspace_that_left(harness):
    harness.poll(signed_out("old"))
    harness.detach()
    harness.attach("beta")
    harness.poll(signed_out("new"))
    harness.now += HOUR

    due = harness.run(lambda tx: incidents.due(tx, harness.now, limit=10))

    assert subjects(harness, due) == ["new"]


def test_what_has_been_due_longest_comes_first(harness):
    harness.poll(signed_out("a"))
    harness.poll(signed_out("a"), signed_out("b"))
    harness.now += HOUR

    due = harness.run(lambda tx: incidents.due(tx, harness.now, limit=1))

    assert subjects(harness, due) == ["a"]

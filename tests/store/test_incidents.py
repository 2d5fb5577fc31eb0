"""Incidents: counted, due, put off."""

from harness.core import HOUR, MINUTE, frozen, signed_out

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
    (due,) = harness.run(lambda tx: incidents.due(tx, harness.now, limit=9))

    harness.run(lambda tx: incidents.postpone(tx, due, now=harness.now, until=harness.now + HOUR))

    assert harness.run(lambda tx: incidents.due(tx, harness.now, limit=9)) == []


def test_a_workspace_that_left_is_not_due_until_it_is_back_and_holds_up_no_other(harness):
    def due():
        return subjects(harness, harness.run(lambda tx: incidents.due(tx, harness.now, limit=10)))

    harness.poll(signed_out("old"))
    harness.detach()
    harness.attach("beta")
    harness.poll(signed_out("new"))
    harness.now += HOUR
    assert due() == ["new"]

    harness.attach("acme")
    harness.poll(signed_out("old"))

    assert due() == ["old"]


def test_what_is_due_of_others_holds_up_nothing_however_much_it_is(harness):
    harness.poll(*map(signed_out, "abcd"))
    harness.poll(*map(signed_out, "abcde"))
    harness.attach("beta")
    harness.poll(signed_out("ours"))
    harness.now += HOUR

    for limit in (1, 2, 3, 9):
        due = harness.run(
            lambda tx, limit=limit: incidents.due(
                tx, harness.now, limit=limit, is_ours=lambda name: name == "beta"
            )
        )
        assert subjects(harness, due) == ["ours"]
    assert not harness.run(
        lambda tx: incidents.due(tx, harness.now, limit=1, is_ours=lambda _: False)
    )


def test_what_is_due_of_others_is_passed_by_whatever_its_order(harness):
    harness.poll(signed_out("first"))
    (first,) = harness.column("SELECT id FROM incident")
    harness.poll(signed_out("first"), signed_out("second"))
    until = harness.now + HOUR + MINUTE
    harness.run(lambda tx: incidents.postpone(tx, first, now=until, until=until))
    harness.attach("beta")
    harness.poll(signed_out("ours"), after=HOUR)
    harness.now += HOUR

    due = harness.run(
        lambda tx: incidents.due(tx, harness.now, limit=2, is_ours=lambda name: name == "beta")
    )

    assert subjects(harness, due) == ["ours"]


def test_what_has_been_due_longest_comes_first(harness):
    harness.poll(signed_out("a"))
    harness.poll(signed_out("a"), signed_out("b"))
    harness.now += HOUR

    due = harness.run(lambda tx: incidents.due(tx, harness.now, limit=1))

    assert subjects(harness, due) == ["a"]

"""What people decide about incidents."""

from itertools import count

import pytest
from harness.core import NOON, CoreHarness, signed_out, told

from monitor.core.act import Act, ActKind, Way
from monitor.core.decide.acts import acknowledge, give_back


def act(kind=ActKind.ACK, *, actor="ann", login="ann@web1", reason="on it"):
    return Act("act", NOON, kind, Way.CLI, actor, login, "acme", reason=reason)


def open_incidents(*ids):
    harness = CoreHarness()
    harness.poll(*map(signed_out, ids))
    return harness.open


def ids():
    return map(str, count()).__next__


@pytest.mark.case("acknowledged")
def test_whoever_takes_an_incident_over_has_it_and_the_next_one_after_them():
    (incident,) = open_incidents("a")
    for actor, until in (("ann", None), ("bob", NOON + 1)):
        decision = acknowledge([incident], act(actor=actor), until=until, new_id=ids())

        (incident,) = decision.incidents
        assert (incident.acknowledged_by, incident.acknowledged_until) == (actor, until)
        assert (incident.acknowledged_at, incident.acknowledged_reason) == (NOON, "on it")
        assert told(decision) == ["acknowledged reconnection_required: taken_over"]
        assert decision.events[0].act_id == "act"


@pytest.mark.parametrize(
    ("actor", "login", "shown"),
    [("ann", "ann@web1", None), ("ann", "root@web1", "root@web1"), ("ann", None, None)],
)
def test_who_says_to_be_somebody_else_is_named_with_the_login(actor, login, shown):
    decision = acknowledge(
        open_incidents("a"), act(actor=actor, login=login), until=None, new_id=ids()
    )

    assert decision.incidents[0].acknowledged_login == shown


@pytest.mark.case("acknowledged")
def test_anyone_gives_back_what_somebody_has_and_nothing_else():
    mine, free = open_incidents("a", "b")
    (taken,) = acknowledge([mine], act(), until=None, new_id=ids()).incidents

    decision = give_back([taken, free], act(ActKind.UNACK, actor="bob"), new_id=ids())

    assert decision.incidents == (mine,)
    assert told(decision) == ["acknowledged reconnection_required: given_back"]
    assert [event.detail for event in decision.events] == ["bob: on it"]

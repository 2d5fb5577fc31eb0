"""What a commit comes to: whom it wakes, what is logged and counted."""

from dataclasses import replace
from functools import partial

import pytest
import structlog
from harness.core import LINK, listed_account, make_recorder, signed_out
from harness.metrics import page_of
from harness.store import StoreHarness
from sqlalchemy import event

from monitor.core.decide.sessions import conclude
from monitor.core.model import Session, Workspace
from monitor.core.route import Routing
from monitor.core.secret import Secret
from monitor.store import accounts, incidents
from monitor.work.record import publish, record


@pytest.fixture
def harness(store):
    return StoreHarness(store, create=True, receivers={"slack": True, "hook": False})


def test_whoever_has_something_to_send_is_woken_and_nobody_else(harness):
    assert harness.poll(listed_account("a"), listed_account("b")).receivers == frozenset()
    assert harness.poll(signed_out("a"), listed_account("b")).receivers == {"slack", "hook"}
    harness.deliver("hook")

    resolved = harness.poll(listed_account("a"), listed_account("b"))

    assert [sent.receiver for sent in resolved.cancelled] == ["slack"]
    assert resolved.receivers == {"hook", "slack"}, "what waited behind it may leave now"


def test_whoever_waited_for_a_link_is_woken_when_it_is_there_or_will_not_come(harness):
    for id_, session in (("a", Session("d90ac1f6", Secret(LINK))), ("b", None)):
        opened = harness.poll(*(signed_out(out, link="") for out in ("a", "b") if out <= id_))
        (incident,) = opened.decision.incidents
        assert harness.claim("hook").message is None, "it waits for the link"

        recorded = harness.run(lambda tx, i=incident, s=session: finish(tx, harness, i, s))

        assert recorded.receivers == {"slack", "hook"}
        assert harness.deliver("hook") == [("opened", id_)]
        harness.deliver("slack")


def finish(tx, harness, incident, session):
    account = accounts.load(tx, "acme", incident.account_id)
    return record(
        tx,
        Workspace("acme", accounts={account.id: account}),
        conclude(incident, account, session, is_over=False, now=harness.now, new_id=harness.new_id),
        policy=harness.rules.policy,
        routing=harness.rules.routing,
        now=harness.now,
        new_id=harness.new_id,
        term=harness.term,
    )


def test_what_is_published_is_logged_with_its_reason_counted_and_wakes(harness):
    woken = []
    receivers = {"slack": "slack", "hook": "webhook"}
    recorder = make_recorder(harness, receivers, wake=woken.append)

    with structlog.testing.capture_logs() as logged:
        publish(harness.poll(signed_out()), recorder)
        publish(harness.poll(signed_out()), recorder)

    (line,) = logged
    assert (line["event"], line["reason"]) == ("incident opened", "seen_bad")
    assert line["log_level"] == "info"
    assert woken == [{"slack", "hook"}]
    page = page_of(recorder.metrics)
    assert 'linkedapi_incidents_open{workspace="acme",cause="reconnection_required"} 1' in page
    assert (
        'linkedapi_incidents_total{workspace="acme",cause="reconnection_required",event="opened"} 1'
        in page
    )


def test_what_is_an_alert_in_the_log_is_no_second_line_there(harness):
    receivers = harness.rules.routing.receivers
    receivers["log"] = replace(receivers["slack"], name="log", is_log=True)

    with structlog.testing.capture_logs() as logged:
        publish(
            harness.poll(signed_out()), make_recorder(harness, {"log": "log", "slack": "slack"})
        )

    assert [(line["event"], line["log_level"]) for line in logged] == [("incident opened", "debug")]


def test_an_account_is_recovered_when_it_is_active_again_not_when_it_is_gone(harness):
    recorder = make_recorder(harness, {"slack": "slack", "hook": "webhook"})
    harness.poll(signed_out("a"), signed_out("b"), listed_account("c"))

    publish(harness.poll(listed_account("a"), signed_out("b"), listed_account("c")), recorder)
    for _ in range(3):
        publish(harness.poll(listed_account("a"), listed_account("c")), recorder)

    assert 'linkedapi_recovery_seconds_count{phase="active"} 1' in page_of(recorder.metrics)


@pytest.mark.parametrize("link", [LINK, ""], ids=["with links", "without"])
def test_ten_times_as_many_that_change_at_once_are_hardly_more_statements(store, link):
    """Others wait for a commit: ten thousand accounts signed out at once took seconds of it."""
    harness = StoreHarness(store, create=True, receivers={"slack": True, "hook": False})
    engine, asked = store._writing._databases[0].engine, []
    event.listen(engine, "before_cursor_execute", lambda *args: asked.append(args[2]))

    ids = [f"a{number}" for number in range(100)]
    harness.poll(*map(listed_account, ids))
    counts = []
    for size in (10, 100):
        out, others = ids[:size], list(map(listed_account, ids[size:]))
        for changed in (map(partial(signed_out, link=link), out), map(listed_account, out)):
            asked.clear()
            assert len(harness.poll(*changed, *others).decision.events) == size
            counts.append(len(asked))

    assert max(counts[2:]) <= max(counts[:2]) + 5


@pytest.mark.case("reminders count from when someone was told")
def test_an_incident_remembers_the_commit_that_first_told_anybody(harness):
    harness.poll(signed_out())

    (incident,) = harness.run(lambda tx: incidents.load_open(tx, "acme")).values()
    assert incident.told_at == harness.now

    harness.rules = replace(harness.rules, routing=Routing({}))
    harness.poll(signed_out(), signed_out("b"))

    (unheard,) = (
        it
        for it in harness.run(lambda tx: incidents.load_open(tx, "acme")).values()
        if it.subject == "b"
    )
    assert unheard.told_at is None

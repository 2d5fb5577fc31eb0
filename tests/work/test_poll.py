"""Polls, end to end in one process: simulated API, real client, real store."""

import asyncio
import threading
from dataclasses import replace

import pytest
import structlog
from harness.answers import api_error, html_page
from harness.core import HOUR, MINUTE, make_routing
from harness.faults import failing_writes, lost_answers
from harness.leases import REPLICA, hold
from harness.poll import TOKEN, poll_harness
from harness.program import until
from sqlalchemy import text

from monitor.config.settings import PollSettings
from monitor.core.duration import Duration
from monitor.core.inventory import Inventory
from monitor.core.model import ALL_WORKSPACES, API, Cause, Incident, Workspace
from monitor.core.policy import DeliveryPolicy
from monitor.core.receipt import Receipt
from monitor.core.route import Match, Route
from monitor.simulator import Fault
from monitor.store import clock, incidents, looks, workspaces
from monitor.store.attempts import Attempt
from monitor.store.db import LeaseLostError, StoreError
from monitor.work import liveness
from monitor.work.deliver import Deliverer, DeliveryRules
from monitor.work.poll import Poller

OPENED = ("opened", "reconnection_required")
RESOLVED = ("resolved", "reconnection_required")


async def test_one_call_per_poll_whatever_the_number_of_accounts(tmp_path):
    async with poll_harness(tmp_path, accounts=300) as harness:
        await harness.poll(3)

        assert harness.calls() == 3


async def test_a_quiet_poll_writes_nothing_but_remembers_that_all_was_well(harness):
    before = harness.recorded()
    with failing_writes(harness.store):
        await harness.poll()

    assert harness.recorded() == before
    await harness.write_liveness()
    assert harness.last_good_at() == harness.now
    with failing_writes(harness.store):
        await harness.write_liveness()


async def test_a_failed_poll_leaves_alone_when_all_was_well(harness):
    await harness.poll()
    await harness.write_liveness()
    harness.simulator.faults.add(html_page(status=502))

    await harness.poll()

    assert harness.last_good_at() == harness.now - MINUTE


async def test_liveness_that_could_not_be_written_is_written_later(harness):
    await harness.poll()
    with failing_writes(harness.store), pytest.raises(StoreError):
        await harness.write_liveness()

    await harness.write_liveness()

    assert harness.last_good_at() == harness.now


async def test_a_sign_out_and_a_recovery_are_noticed(harness):
    harness.simulator.sign_out("acme", "a1")

    assert await harness.poll() == [OPENED]
    assert await harness.poll(3) == []
    harness.simulator.recover("acme", "a1")
    assert await harness.poll() == [RESOLVED]
    assert harness.last_good_at() == harness.now, "a poll with news is a good one, too"


async def test_no_link_and_no_session_is_ever_shown(tmp_path):
    async with poll_harness(tmp_path) as harness:
        harness.simulator.sign_out("acme", "a1")
        await harness.poll()

        session = harness.session()
        assert 'status="reconnection_required"} 1' in harness.exposition
        assert session.id not in harness.exposition
        assert session.link.reveal().rpartition("/")[2] not in harness.exposition


async def test_an_odd_list_is_warned_about_once(harness, capsys):
    harness.simulator.patch("acme", "a1", {"status": "suspended"})

    await harness.poll(3)

    assert capsys.readouterr().out.count("odd account list") == 1


@pytest.mark.case("event that no route matches")
async def test_an_event_that_nobody_would_hear_of_is_counted_and_logged(harness, capsys):
    nobody = make_routing({"chat": True}, Route(match=Match(causes=("unknown",)), to=("chat",)))
    harness.poller.rules = replace(harness.poller.rules, routing=nobody)
    harness.simulator.sign_out("acme", "a1")

    assert await harness.poll() == [OPENED]

    assert "linkedapi_events_unrouted_total 1\n" in harness.exposition
    assert "nobody is told" in capsys.readouterr().out


# ── an API that fails, refuses or is asked too often ─────────────────────────────────────────────


async def test_blindness_is_told_in_time_although_polls_are_paused(harness):
    harness.simulator.faults.add(Fault(status=503, headers={"retry-after": "900"}, body=b""))

    assert await harness.poll(7) == [("opened", "unreachable")]
    assert harness.calls() == 2


async def test_why_a_workspace_cannot_be_read_is_logged_once_and_so_is_its_end(harness):
    outage, refusal = html_page(status=502), api_error("invalidLinkedApiToken", status=401)
    with structlog.testing.capture_logs() as logs:
        for fault in (outage, outage, refusal, None, None):
            harness.simulator.clear_faults()
            if fault:
                harness.simulator.faults.add(fault)
            await harness.poll(after=HOUR)

    told = [(entry["event"], entry.get("cause")) for entry in logs if "read" in entry["event"]]
    assert told == [
        ("workspace can't be read", "unreachable"),
        ("workspace can't be read", "token_rejected"),
        ("workspace is read again", None),
    ]


@pytest.mark.case("poll failed, repeated soon")
async def test_a_failed_poll_is_repeated_until_one_is_good(harness):
    assert harness.poller.repeat_in() is None
    harness.simulator.faults.add(html_page(status=502))
    await harness.poll()
    assert harness.poller.repeat_in() == 2.5
    await harness.poll(scheduled=False, after=Duration.parse("2500ms"))
    assert harness.poller.repeat_in() == 5.0

    harness.simulator.clear_faults()
    await harness.poll(scheduled=False, after=Duration.parse("5s"))

    assert harness.poller.repeat_in() is None


@pytest.mark.case("poll failed, repeated soon")
async def test_who_is_told_to_wait_polls_nothing_but_notes_in_time_that_it_is_blind(harness):
    harness.reload(next_due=PollSettings(cron="0 8 * * *").next_due)
    harness.simulator.faults.add(Fault(status=503, headers={"retry-after": "900"}, body=b""))
    await harness.poll()
    assert harness.poller.repeat_in() == 300.0

    assert await harness.poll(scheduled=False, after=Duration.parse("5m")) == [
        ("opened", "unreachable")
    ]

    assert harness.poller.repeat_in() == 600.0
    assert harness.calls() == 2


@pytest.mark.case("Linked API itself is away")
async def test_a_workspace_that_is_blind_in_an_outage_looks_again_in_a_while(harness):
    def others(cause):
        update = text("""
        UPDATE workspace SET baseline_at = 1, failing_cause = :cause WHERE name <> 'acme'
        """)
        harness.store.run_now(lambda tx: tx.execute(update, {"cause": cause}))

    for name in ("beta", "gamma"):
        harness.store.run_now(lambda tx, name=name: hold(tx, name))
    others("unreachable")
    harness.simulator.faults.add(html_page(status=502))
    assert await harness.poll(8) == [("opened", "unreachable")]
    is_open = 'linkedapi_incidents_open{workspace="*",cause="unreachable"}'
    assert f"{is_open} 1" in harness.exposition

    with failing_writes(harness.store, "workspace"):
        assert await harness.poll(after=Duration.parse("1s")) == []
    assert await harness.poll(9) == []
    others(None)

    assert await harness.poll(2) == [("resolved", "unreachable")]
    assert f"{is_open} 0" in harness.exposition
    assert await harness.poll(4) == [("opened", "unreachable")]
    assert [incident.workspace for incident in _open(harness, "acme")] == ["acme"]
    assert _open(harness, "*") == []


def _open(harness, workspace):
    return list(harness.store.run_now(lambda tx: incidents.load_open(tx, workspace)).values())


@pytest.mark.case("token rotated in its file")
async def test_a_rejected_token_is_asked_about_ever_less_often(harness):
    harness.simulator.set_token("acme", "linked_other")

    assert await harness.poll(30) == [("opened", "token_rejected")]
    calls = harness.calls()
    assert await harness.poll(60) == []

    assert harness.calls() - calls < 10
    assert not harness.is_fresh()


@pytest.mark.case("token rotated in its file")
@pytest.mark.odd_input("rotated token")
async def test_a_token_rotated_in_its_file_counts_at_once(tmp_path):
    file = tmp_path / "token"
    file.write_text(TOKEN + "\n")
    async with poll_harness(tmp_path, token=file) as harness:
        await harness.poll()
        harness.simulator.set_token("acme", "linked_rotated")
        await harness.poll(10)

        file.write_text("linked_rotated\n")

        assert await harness.poll() == [("resolved", "token_rejected")]


@pytest.mark.odd_input("rate limit with any Retry-After")
async def test_a_rate_limit_is_given_time(harness):
    harness.simulator.faults.add(api_error("tooManyRequests", status=429))

    await harness.poll(3, after=Duration.parse("1s"))

    assert harness.calls() == 2


@pytest.mark.case("our own share of the rate limit is used up")
async def test_our_own_share_used_up_is_no_failure(harness):
    assert await harness.poll(100, after=Duration.parse("10ms")) == []

    assert 'linkedapi_workspace_up{workspace="acme"} 1' in harness.exposition
    assert 'outcome="rate_limited"} 0' in harness.exposition


# ── what could not be recorded ───────────────────────────────────────────────────────────────────


async def test_what_could_not_be_recorded_is_no_good_poll_and_recorded_by_the_next(harness):
    harness.simulator.sign_out("acme", "a1")

    with failing_writes(harness.store, "event"), pytest.raises(StoreError):
        await harness.poll()

    assert 'linkedapi_polls_total{workspace="acme",outcome="ok"} 1' in harness.exposition
    assert await harness.poll() == [OPENED]


async def test_a_failed_poll_that_could_not_be_recorded_is_repeated_as_planned(harness):
    harness.simulator.faults.add(html_page(status=502))
    await harness.poll()
    planned = harness.poller.repeat_in()

    with failing_writes(harness.store), pytest.raises(StoreError):
        await harness.poll(after=HOUR)

    assert planned > 0
    assert harness.poller.repeat_in() == 0


async def test_a_batch_of_liveness_lets_go_what_waits_for_a_look(harness):
    harness.simulator.sign_out("acme", "a1")
    await harness.poll(2)
    harness.store.run_now(lambda tx: looks.hold(tx, REPLICA, ["acme"]))

    await harness.write_liveness()

    assert harness.store.run_now(looks.waiting) == set()


async def test_what_others_changed_is_loaded_again_before_anything_is_recorded(harness):
    harness.store.run_now(lambda tx: clock.set_clock(tx, REPLICA, harness.now + HOUR))
    harness.store.run_now(lambda tx: clock.set_clock(tx, REPLICA, harness.now))
    renamed = "UPDATE account SET since = 7 WHERE id = 'a2'"
    harness.store.run_now(lambda tx: tx.exec_driver_sql(renamed))
    harness.simulator.sign_out("acme", "a1")

    assert await harness.poll() == [OPENED]

    accounts = harness.recorded().accounts
    assert accounts["a2"].since == 7
    assert harness.poller._workspace == harness.recorded()


async def test_after_a_commit_without_an_answer_nothing_is_taken_for_known(tmp_path):
    async with poll_harness(tmp_path, create=True) as harness:
        await harness.poll()
        harness.poller.has_intents = False
        harness.simulator.sign_out("acme", "a1")
        harness.simulator.patch("acme", "a1", without=("reconnectionLink",))
        with lost_answers(harness.store), pytest.raises(StoreError):
            await harness.poll()

        assert await harness.poll() == []
        assert harness.poller.has_intents
        assert await harness.reconnector.reconnect() is not None


AFFECTED = text("""
INSERT INTO workspace (
    name, term, version, position, failing_cause, failing_detail, failing_since, failing_cause_since
) VALUES (:name, 1, 0, 0, 'unreachable', '', 0, 0)
""")


@pytest.mark.parametrize("is_rejected", [False, True])
async def test_an_outage_ends_once_those_that_it_is_made_of_have_left(tmp_path, is_rejected):
    async with poll_harness(tmp_path, accounts=0) as harness:
        await harness.poll()
        if is_rejected:
            harness.simulator.set_token("acme", "another")
            assert await harness.poll(9) == [("opened", "token_rejected")]
        outage = Incident("1", ALL_WORKSPACES, *API, Cause.UNREACHABLE, harness.now, harness.now)
        for name in ("b", "c", "d"):
            harness.store.run_now(lambda tx, name=name: tx.execute(AFFECTED, {"name": name}))
        harness.store.run_now(lambda tx: incidents.write(tx, [outage]))
        harness.poller.reconfigure(harness.poller.rules, harness.source)
        assert await harness.poll(2, after=HOUR) == []

        harness.store.run_now(lambda tx: workspaces.detach(tx, ["acme"], harness.now))
        harness.poller.reconfigure(harness.poller.rules, harness.source)

        assert await harness.poll(after=HOUR) == [("resolved", "unreachable")]


async def test_a_session_that_is_wanted_while_a_poll_is_recorded_is_asked_for(harness):
    harness.poller.has_intents = False
    harness.simulator.sign_out("acme", "a1")
    writing = threading.Event()
    busy = asyncio.create_task(harness.store.run(lambda _: writing.wait()))
    polling = asyncio.create_task(harness.poll())
    await until(lambda: harness.poller._workspace is None)

    harness.poller.has_intents = True
    writing.set()

    assert await polling == [OPENED]
    assert harness.poller.has_intents
    await busy


async def test_what_left_while_a_poll_waited_to_be_recorded_did_not_tell_what_it_saw(harness):
    harness.simulator.sign_out("acme", "a1")
    await harness.poll()
    harness.simulator.freeze("acme", "a1")
    deliverer = Deliverer(
        harness.routing.receivers["chat"],
        None,
        DeliveryRules(DeliveryPolicy(), Inventory({"acme": {}})),
        harness.poller._recorder,
        "monitor",
    )
    writing = threading.Event()

    def pass_time(_):
        writing.wait()
        harness.now += 1

    async with asyncio.TaskGroup() as group:
        group.create_task(harness.store.run(pass_time))
        claiming = group.create_task(deliverer.claim())
        group.create_task(harness.store.run(pass_time))
        polling = group.create_task(harness.poll())
        await until(lambda: harness.poller._workspace is None)
        writing.set()
    claimed = claiming.result()
    assert polling.result() == [("changed", "frozen")]

    await deliverer._settle_surely(claimed, claimed.message, Attempt(Receipt(), Duration(0), ""))

    (told,) = (await deliverer.claim()).message.notifications
    assert told.event == "changed"


async def test_a_batch_of_liveness_undoes_no_later_look(harness, monkeypatch):
    monkeypatch.setattr(liveness, "MAX_BATCH", 1)
    other = Poller(
        Workspace("other"),
        1,
        rules=harness.poller.rules,
        source=harness.source,
        recorder=harness.poller._recorder,
    )
    other.forget_look()
    harness.poller.forget_look()
    recorder = harness.poller._recorder
    writing = asyncio.create_task(liveness.write_liveness(recorder, [other, harness.poller]))
    await asyncio.sleep(0)  # the first of two portions is under way

    await harness.poller._mark_looked()
    await writing

    assert harness.is_fresh()


async def test_a_monitor_that_was_taken_over_records_nothing(harness):
    harness.store.run_now(lambda tx: hold(tx, "acme"))
    harness.simulator.sign_out("acme", "a1")

    with pytest.raises(LeaseLostError):
        await harness.poll()


async def test_a_workspace_that_keeps_failing_is_written_when_something_changes(harness):
    harness.simulator.faults.add(html_page(status=502))
    assert await harness.poll(2) == []
    with failing_writes(harness.store):
        assert await harness.poll(2) == []
    assert await harness.poll(2) == [("opened", "unreachable")]
    with failing_writes(harness.store):
        assert await harness.poll(3) == []

    harness.simulator.faults.clear()
    harness.simulator.faults.add(Fault(body=b"[]"))

    assert await harness.poll(3) == [("changed", "bad_response")]
    with failing_writes(harness.store):
        assert await harness.poll(3) == []

"""A workspace's and a receiver's worker: when they are woken, what outlives a reload, their end."""

import asyncio

import pytest
from harness.answers import html_page
from harness.core import NOON
from harness.faults import lost_answers
from harness.program import until
from sqlalchemy import text

from monitor.app import workers
from monitor.core.diff import NOTHING_QUIET
from monitor.core.duration import Duration
from monitor.core.errors import MonitorError
from monitor.simulator import Fault
from monitor.store import receivers
from monitor.store.claims import Claimed
from monitor.work.deliver import Deliverer
from monitor.work.reconnect import Reconnector

CREATE = "accounts.createReconnectionSession"
STATE = "accounts.getConnectionSession"

DOUBT = """
INSERT INTO session_intent SELECT 'x', workspace, account_id, incident_id, NULL, at + 1, 'wanted'
FROM session_intent
"""


async def have_link_asked_for(harness):
    """Sign an account out that gets no link by itself; return it once one was asked for."""
    await harness.apply("acme")
    harness.simulator.sign_out("acme", "*")
    account, _ = harness.simulator.customer("acme").accounts
    without = ("reconnectionLink", "reconnectionSessionId")
    harness.simulator.patch("acme", account, without=without)
    harness.workers.wake_workspace("acme")
    await until(lambda: harness.simulator.request_log.counts.get(CREATE) == 1)
    await until(lambda: harness.workers.workspaces["acme"].poller._quiet is NOTHING_QUIET)
    return account


@pytest.mark.odd_input("session expires before a reminder")
async def test_the_link_that_is_lost_while_it_is_asked_about_is_asked_for_by_the_next_poll(harness):
    account = await have_link_asked_for(harness)
    harness.simulator.set_session("acme", account, "expired")
    await harness.execute(DOUBT)

    harness.workers.wake_workspace("acme")
    harness.workers.wake_workspace("nobody")
    await until(lambda: STATE in harness.simulator.request_log.counts)
    harness.now += Duration.parse("2h")
    await until(lambda: harness.workers.workspaces["acme"].poller._quiet is NOTHING_QUIET)
    harness.workers.wake_workspace("acme")

    await until(lambda: harness.simulator.request_log.counts.get(CREATE) == 2)


async def test_the_link_that_is_lost_by_a_commit_without_an_answer_is_asked_for_as_well(harness):
    account = await have_link_asked_for(harness)
    harness.simulator.set_session("acme", account, "expired")
    await harness.execute(DOUBT)
    harness.simulator.faults.add(Fault(kind="delay", method=STATE, delay=1.0))
    harness.workers.wake_workspace("acme")
    await until(lambda: STATE in harness.simulator.request_log.counts)

    with lost_answers(harness.store):
        await until(lambda: harness.health.is_failing("poll acme"))
    harness.now += Duration.parse("2h")
    harness.workers.wake_workspace("acme")

    await until(lambda: harness.simulator.request_log.counts.get(CREATE) == 2)


@pytest.mark.odd_input("session expires before a reminder")
async def test_a_link_that_expired_while_a_receiver_was_away_is_replaced_before_it_is_told(harness):
    def links():
        select = text("SELECT link FROM session WHERE link IS NOT NULL")
        return harness.store.read_now(lambda tx: tx.execute(select).scalars().all())

    def note_failure(tx):
        crm, pause = receivers.load(tx, "crm"), Duration.parse("1h")
        receivers.note_failure(
            tx, crm, "HTTP 429", refuses=False, retry_after=pause, jitter=1.0, now=harness.now
        )

    await harness.apply("acme", more=f"receivers: [{harness.crm()}]")
    await harness.store.run(note_failure)
    account, _ = harness.simulator.customer("acme").accounts
    harness.simulator.sign_out("acme", account)
    without = ("reconnectionLink", "reconnectionSessionId")
    harness.simulator.patch("acme", account, without=without)
    harness.workers.wake_workspace("acme")
    await until(links)
    (expired,) = links()
    harness.simulator.set_session("acme", account, "expired")
    harness.now += Duration.parse("2h")
    await harness.poll("acme")

    harness.workers.receivers["crm"].wake()

    await harness.hook.wait(lambda: harness.hook.events)
    assert links() != [expired]
    assert [event["data"]["link"] for event in harness.hook.events] == links()


async def test_a_poll_that_could_not_be_recorded_is_soon_repeated(harness, monkeypatch):
    monkeypatch.setattr(workers, "POLL_RETRY", Duration.parse("50ms"))
    await harness.apply("acme")
    await harness.execute("PRAGMA busy_timeout = 1")
    with harness.locked():
        harness.workers.workspaces["acme"].wake_as_scheduled()
        await until(lambda: harness.health.is_failing("poll acme"))

    await until(lambda: not harness.health.is_failing("poll acme"))
    assert 'linkedapi_workspace_up{workspace="acme"} 1' in harness.metric


async def test_who_is_woken_in_a_poll_polls_once_more_after_it(harness):
    harness.simulator.faults.add(Fault(kind="delay", delay=0.3))
    await harness.apply("acme")
    worker = harness.workers.workspaces["acme"]

    worker.wake()
    await until(lambda: len(harness.simulator.requests) == 1)
    assert not worker.is_idle
    worker.wake()
    worker.wake()
    await until(lambda: worker.is_idle)

    assert len(harness.simulator.requests) == 2


async def test_nobody_polls_once_more_after_a_poll_that_the_end_of_all_cancelled(harness):
    harness.simulator.faults.add(Fault(kind="delay", delay=5))
    await harness.apply("acme")
    worker = harness.workers.workspaces["acme"]
    worker.wake()
    await until(lambda: len(harness.simulator.requests) == 1)
    worker.wake()

    worker._task.cancel()
    await until(lambda: worker.is_idle)

    assert "acme" not in harness.working()
    assert len(harness.simulator.requests) == 1


@pytest.mark.parametrize("ends", ["woken", "stopped"])
async def test_who_is_woken_or_stopped_waits_for_no_repetition_any_more(harness, ends):
    await harness.apply("acme")
    await harness.execute("PRAGMA busy_timeout = 1")
    worker = harness.workers.workspaces["acme"]
    with harness.locked():
        worker.wake()
        await until(lambda: worker.is_idle and harness.health.is_failing("poll acme"))
    wait = worker._timer

    if ends == "woken":
        worker.wake()
    else:
        await harness.workers.stop_workspaces(["acme"])

    await until(lambda: not harness.health.is_failing("poll acme"))
    assert wait.cancelled()


@pytest.mark.parametrize("polled", [False, True])
async def test_a_poll_hangs_that_nobody_wakes_or_that_takes_longer_than_all_its_calls_may(
    harness, polled
):
    await harness.apply("acme")
    await until(lambda: "acme" in harness.working())
    if polled:
        harness.workers.workspaces["acme"].wake_as_scheduled()
        await until(lambda: 'linkedapi_workspace_up{workspace="acme"} 1' in harness.metric)
        await asyncio.sleep(0)  # the worker waits again

    def is_overdue(seconds):
        harness.seconds = seconds
        return any("poll acme" in problem for problem in harness.health.overdue())

    longest = 60 * polled + 5 + 7 * 30 + 2 * 10 + 60
    assert [is_overdue(longest), is_overdue(longest + 1)] == [False, True]


async def test_a_poll_that_our_share_of_the_rate_limit_does_not_allow_is_put_off(harness):
    await harness.apply("acme")
    harness.simulator.faults.add(html_page(status=502))
    worker = harness.workers.workspaces["acme"]
    worker.budget.per_minute = 1
    await harness.poll("acme")
    calls = len(harness.simulator.requests)

    assert await worker.poller.poll(scheduled=False) is None

    assert worker.poller.repeat_in() > 50
    assert len(harness.simulator.requests) == calls


async def test_the_loops_of_who_left_are_not_missed_and_their_failures_forgotten(harness):
    async def fail():
        raise MonitorError("it fails")

    await harness.apply("acme", "beta", more=f"receivers: [{harness.crm()}]")
    await until(lambda: harness.working() == {"acme", "beta", "crm"})
    for loop in ("poll beta", "send crm"):
        await harness.health.guard(loop, fail())

    await harness.apply("acme")

    await until(lambda: harness.working() == {"acme", "log"})
    assert not harness.health.is_failing("poll beta", "send crm 0")


async def test_one_claim_may_take_a_minute_however_many_there_are(harness, monkeypatch):
    def is_overdue(after):
        harness.seconds += after
        return any("send crm" in problem for problem in harness.health.overdue())

    async def claim(_):
        overdue.append([is_overdue(60), is_overdue(1)])
        return Claimed(None, more=len(overdue) < 3)

    overdue = []
    monkeypatch.setattr(Deliverer, "claim", claim)

    await harness.apply("acme", more=f"receivers: [{harness.crm()}]")

    await until(lambda: len(overdue) >= 3)
    assert overdue == [[False, True]] * len(overdue), overdue


async def test_a_send_to_a_receiver_that_left_does_not_hold_up_the_end(harness, monkeypatch):
    monkeypatch.setattr(workers, "SHUTDOWN_GRACE", Duration.parse("200ms"))
    await harness.apply("acme", more=f"receivers: [{harness.crm('never')}]")
    harness.simulator.sign_out("acme", "*")
    harness.workers.workspaces["acme"].wake_as_scheduled()
    worker = harness.workers.receivers["crm"]
    await until(lambda: worker._in_flight)
    await harness.apply("acme")

    await asyncio.wait_for(harness.workers.stop(), 4)  # a send may take 10 s

    assert not worker._in_flight


async def test_who_is_back_in_the_configuration_goes_on_once_the_former_send_has_ended(harness):
    more = f"receivers: [{harness.crm()}]"
    harness.hook.delay = 2.0
    await harness.apply("acme", more=more)
    await harness.sign_out("acme")
    await harness.hook.wait(lambda: len(harness.hook.events) == 2)
    await harness.apply("acme")
    await harness.apply("acme", more=more)
    harness.simulator.freeze("acme", "*")

    harness.now += Duration.parse("1s")
    await harness.workers.workspaces["acme"].poller.poll()  # what is being sent has not lapsed

    await harness.hook.wait(lambda: len(harness.hook.events) == 4, within=10)


@pytest.mark.parametrize("place", ["accounts", "accounts_file"])
async def test_everybody_is_polled_when_other_accounts_are_ignored(harness, place):
    more = f"receivers: [{harness.crm()}]\npoll: {{cron: '0 8 * * *'}}"
    await harness.apply("acme", "beta", more=more)
    harness.simulator.sign_out("acme", "*")
    await harness.poll("acme")
    await harness.hook.wait(lambda: len(harness.hook.events) == 2)
    assert len(harness.simulator.requests) == 1
    account, _ = harness.simulator.customer("acme").accounts.values()

    ignored = f"accounts: [{{match: {{id: {account.id}}}, ignore: true}}]"
    if place == "accounts_file":
        (harness.folder / "owners.csv").write_text(f"id,ignore\n{account.id},true\n")
        ignored = "accounts_file: owners.csv"
    await harness.apply("acme", "beta", more=f"{more}\n{ignored}")

    await harness.hook.wait(lambda: len(harness.hook.events) == 3)
    assert harness.hook.events[2]["data"]["account"]["id"] == account.id
    assert harness.hook.events[2]["data"]["incident"]["resolution"] == "unwatched"


async def test_those_who_are_polled_for_other_accounts_are_spread(harness, monkeypatch):
    def polled():
        return [request.customer for request in harness.simulator.requests]

    monkeypatch.setattr(workers, "MAX_SPREAD", Duration.parse("2s"))
    cron = {"poll": {"cron": "0 8 * * *"}}
    names = {"acme": cron, "beta": cron, "gamma": {"poll": {"every": "1s"}}}
    await harness.apply(**names)

    others = "accounts: [{match: {id: nobody}, ignore: true}]"
    await harness.apply(**names, more=others)

    await until(polled)
    await asyncio.sleep(0.3)
    assert polled() == ["acme"]
    await until(lambda: polled() == ["acme", "beta"])
    await harness.apply(**names, more=f"{others}\nincidents: {{resolve_after: 2}}")
    await asyncio.sleep(0.3)
    assert polled() == ["acme", "beta"], "the accounts are the same"


@pytest.mark.case("start, or the host slept")
async def test_however_many_links_are_missing_they_are_asked_for_before_the_next_poll(
    harness, monkeypatch
):
    monkeypatch.setattr(workers, "MORE_SESSIONS_AFTER", Duration.parse("50ms"))
    harness.simulator.add_accounts("acme", 5)
    await harness.apply(acme={"poll": {"every": "6h"}})
    harness.simulator.sign_out("acme", "*")
    for account in harness.simulator.customer("acme").accounts:
        without = ("reconnectionLink", "reconnectionSessionId")
        harness.simulator.patch("acme", account, without=without)

    harness.workers.wake_workspace("acme")

    await until(lambda: harness.simulator.request_log.counts.get(CREATE) == 7, within=5)


async def test_who_has_a_queue_is_looked_at_at_the_start_so_many_at_a_time(harness, monkeypatch):
    def looked_at():
        return [request.customer for request in harness.simulator.requests[4:]]

    receiver = f"receivers: [{harness.crm('gone')}]"
    await harness.apply("acme", "gamma", more=receiver)
    for name in ("acme", "gamma"):
        await harness.sign_out(name)
    await harness.apply("another", more=receiver)
    harness.simulator.faults.add(Fault(kind="hang", customer="acme"))
    monkeypatch.setattr(workers, "MAX_LOOKS", 1)

    await harness.apply("acme", "beta", "gamma", more=receiver)

    await until(lambda: looked_at() == ["acme"])
    await asyncio.sleep(0.3)
    assert looked_at() == ["acme"]
    await harness.workers.stop_workspaces(["acme"])
    await until(lambda: looked_at() == ["acme", "gamma"])
    await asyncio.sleep(0.3)
    assert looked_at() == ["acme", "gamma"]


async def test_a_pause_that_a_receiver_asked_for_ends_with_its_address(harness):
    await harness.apply("acme", more=f"receivers: [{harness.crm()}]")
    deliverer = harness.workers.receivers["crm"].deliverer

    def fail(tx):
        hour = Duration.parse("1h")
        receivers.note_failure(
            tx,
            receivers.load(tx, "crm"),
            "HTTP 429",
            refuses=False,
            retry_after=hour,
            jitter=1.0,
            now=harness.now,
        )

    await harness.store.run(fail)

    await harness.apply("acme", more=f"receivers: [{harness.crm()}]")
    assert (await deliverer.claim()).next_at == harness.now + Duration.parse("1h")
    await harness.apply("acme", more=f"receivers: [{harness.crm('elsewhere')}]")

    assert harness.workers.receivers["crm"].deliverer is deliverer
    assert (await deliverer.claim()).next_at is None


async def test_another_schedule_counts_at_once_and_the_same_one_is_left_alone(harness):
    await harness.apply("acme", "beta")
    before = harness.scheduled()

    await harness.apply("acme", beta={"poll": {"cron": "0 8 * * *"}})

    after = harness.scheduled()
    assert after["acme"] is before["acme"]
    assert after["beta"] is not before["beta"]
    for entries in (before, after):  # a crontab is followed by a poll within a minute, too
        assert [entry.offset for entry in entries.values()] == [0, Duration.parse("30s")]
    poller = harness.workers.workspaces["beta"].poller
    assert poller.rules.next_due(NOON) == NOON + Duration.parse("20h")


def polls(harness):
    return [
        request.customer
        for request in harness.simulator.requests
        if request.method == "accounts.getAll"
    ]


@pytest.mark.case("start, or the host slept")
@pytest.mark.parametrize("is_out", [False, True])
async def test_who_comes_back_is_polled_when_that_is_due_or_at_once_for_what_is_open(
    harness, is_out
):
    beta = {"poll": {"every": "6h"}}
    await harness.apply("acme", beta=beta)
    if is_out:
        harness.simulator.sign_out("beta", "*")
    await harness.poll("beta")
    await harness.apply("acme")

    await harness.apply("acme", beta=beta)

    assert harness.scheduled()["beta"].offset == pytest.approx(
        Duration.parse("6h"), abs=Duration.parse("1m")
    )
    if is_out:
        await until(lambda: len(polls(harness)) == 2)
    await asyncio.sleep(0.1)
    assert polls(harness) == ["beta"] * (1 + is_out)


async def test_a_new_token_counts_at_once_and_the_same_one_keeps_its_pause(harness):
    await harness.apply("acme", "beta")
    await harness.poll("acme")
    await harness.poll("beta")
    for name in ("acme", "beta"):
        harness.simulator.set_token(name, f"linked_{name}2")
        for _ in range(8):
            await harness.poll(name)
    calls = len(harness.simulator.requests)

    await harness.apply("beta", acme={"token": "linked_acme2"})

    assert await harness.poll("acme") == [("resolved", "token_rejected")]
    assert await harness.poll("beta") == []
    assert len(harness.simulator.requests) == calls + 1


async def test_a_link_is_asked_for_once_a_reload_allows_it(harness):
    await harness.apply("acme", more="reconnection: {create: never}")
    account, _ = harness.simulator.customer("acme").accounts.values()
    harness.simulator.sign_out("acme", account.id)
    harness.simulator.patch(
        "acme", account.id, without=["reconnectionLink", "reconnectionSessionId"]
    )
    await harness.poll("acme")

    await harness.apply("acme")
    harness.workers.workspaces["acme"].wake_as_scheduled()

    methods = harness.simulator.request_log.counts
    await until(lambda: "accounts.createReconnectionSession" in methods, within=10)


async def test_the_budget_that_is_used_up_outlives_a_reload(harness):
    await harness.apply("acme")
    budget = harness.workers.workspaces["acme"].budget
    await harness.poll("acme")

    await harness.apply("acme", more="incidents: {open_after: 2}")

    assert harness.workers.workspaces["acme"].poller._source._budget is budget
    waits = [budget.take(harness.seconds) for _ in range(budget.per_minute)]
    assert [wait > 0 for wait in waits] == [False] * (len(waits) - 1) + [True]


async def test_a_quiet_poll_makes_no_transaction(harness):
    await harness.apply("acme")
    worker = harness.workers.workspaces["acme"]
    await worker._poll(scheduled=True)
    worker.poller._store = worker.reconnector.recorder = None

    await worker._poll(scheduled=True)

    assert harness.simulator.request_log.counts == {"accounts.getAll": 2}


@pytest.mark.parametrize("wanted", [False, True])
async def test_sessions_are_asked_for_at_the_start_only_if_some_were_wanted(
    harness, monkeypatch, wanted
):
    async def reconnect(reconnector):
        asked.append(reconnector.workspace)

    asked = []
    monkeypatch.setattr(Reconnector, "reconnect", reconnect)
    account, _ = harness.simulator.customer("acme").accounts
    if wanted:
        values = f"VALUES ('x', 'acme', '{account}', 'y', NULL, 0, 'wanted')"
        await harness.execute(f"INSERT INTO session_intent {values}")

    await harness.apply("acme")

    await harness.workers.workspaces["acme"]._poll(scheduled=True)
    assert asked == ["acme"] * wanted


async def test_nobody_works_for_who_is_not_in_the_configuration(harness):
    await harness.apply("acme")

    harness.workers.wake_receivers(["nobody"])

    assert harness.workers.term_of("acme") is not None
    assert harness.workers.term_of("nobody") is None

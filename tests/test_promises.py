"""The promises of the design by number: what other tests show in detail is shown as a whole.

Each of these has been seen to fail with its guard taken out.
"""

import asyncio
import re
from functools import partial
from itertools import count

import httpx
import pytest
from harness.answers import api_error, html_page, redirect
from harness.core import HOUR, MINUTE, REJECTED, UNREACHABLE, frozen, listed_account, signed_out
from harness.faults import failing_writes
from harness.history import History
from harness.leases import REPLICA
from harness.poll import poll_harness
from harness.program import WEBHOOK_SECRET, answers, configure, hooks, program, until
from harness.running_monitor import simulated
from harness.store import DAY, LEASE, REFUSED, TIMEOUT, StoreHarness, open_store
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from monitor.app import operations, process
from monitor.core.duration import Duration
from monitor.simulator import Fault, Simulator, serve
from monitor.store import outbox
from monitor.store.db import StoreError
from monitor.store.undelivered import GROUP_WAIT

OPENED = ("opened", "reconnection_required")

# ── 1, 3, 4, 5: what receivers are told, whatever happens ────────────────────────────────────────

STATUS = {"good": listed_account, "out": signed_out, "cold": frozen}
LISTS = st.tuples(*(st.sampled_from(sorted(STATUS)) for _ in "ab"))
STEPS = st.one_of(
    st.tuples(st.just("poll"), LISTS),
    st.tuples(st.just("fail"), st.sampled_from([UNREACHABLE, REJECTED])),
    st.tuples(st.just("begin"), st.sampled_from(["chat", "crm"])),
    st.tuples(st.just("end"), st.sampled_from([None, None, REFUSED, TIMEOUT])),
    st.tuples(st.just("crash"), st.none()),
    st.tuples(st.just("wait"), st.sampled_from([Duration.parse("1s"), MINUTE, HOUR])),
)


class DeliveryHistory:
    """Carries out steps on a fresh database and keeps what each receiver was handed."""

    def __init__(self, store, **policy):
        self.harness = StoreHarness(store, receivers={"chat": True, "crm": False}, **policy)
        self.history = History(self.harness)
        self.sending = None

    def step(self, kind, value):
        harness = self.harness
        if kind == "poll":
            harness.poll(*(STATUS[status](id_) for id_, status in zip("ab", value, strict=True)))
        elif kind == "fail":
            harness.observe(value)
        elif kind == "begin" and self.sending is None:
            self.begin(value)
        elif kind == "end" and self.sending is not None:
            self.end(value)
        elif kind == "crash":
            self.sending = None
            harness.attach()
            harness.process += "'"
        elif kind == "wait":
            harness.now += value

    def begin(self, receiver):
        claimed = self.harness.claim(receiver)
        if claimed.message is not None:
            self.history.begin(claimed)
            self.sending = claimed

    def end(self, error):
        if self.harness.settle(self.sending, error) is not None:
            self.history.end(self.sending, error)
        self.sending = None

    def finish(self):
        """Let everything recover and everything be delivered."""
        self.step("crash", None)
        self.harness.now += LEASE
        for _ in range(3):
            self.harness.poll(listed_account("a"), listed_account("b"), after=HOUR)
        for _ in range(200):
            if not self.harness.run(partial(outbox.backlog, replica=REPLICA)):
                break
            self.harness.now += MINUTE
            for receiver in ("chat", "crm"):
                self.begin(receiver)
                if self.sending:
                    self.end(None)

    def check(self):
        rows = self.harness.run(lambda tx: tx.execute(text("SELECT * FROM notification")).all())
        # Promise 1: settled one way or the other, cancelled only for a reason that is true.
        assert {row.state for row in rows} <= {"delivered", "cancelled"}
        assert {row.reason for row in rows} <= {None, "recovered", "superseded"}
        self.history.check()


@settings(max_examples=60, deadline=None)
@given(steps=st.lists(STEPS, max_size=40), resolve_after=st.integers(1, 2))
def test_promises_1_3_4_5_hold_for_every_receiver_whatever_happens(
    tmp_path_factory, steps, resolve_after
):
    store = open_store(f"sqlite:///{tmp_path_factory.mktemp('history')}/monitor.db")
    try:
        history = DeliveryHistory(store, resolve_after=resolve_after)
        for step in steps:
            history.step(*step)
        history.finish()
        history.check()
    finally:
        store.close()


# ── 1, once more: dead is loud, and never without an attempt past the deadline ───────────────────


@pytest.mark.case("host asleep for days")
def test_promise_1_what_cannot_be_delivered_dies_loudly_after_its_deadline(store):
    harness = StoreHarness(store, receivers={"chat": True, "mail": True}, fallback="mail")
    harness.poll(signed_out())
    harness.deliver("mail")
    harness.poll(signed_out(), after=3 * DAY)  # asleep past the deadline: still one attempt

    assert harness.deliver("chat", error=REFUSED) == [("opened", "a1")]

    assert ("chat", "opened", "dead", "deadline") in harness.states()
    assert harness.deliver("mail", after=GROUP_WAIT) == [("notice", "a1")]


# ── 2: no false alarm from our own faults ────────────────────────────────────────────────────────

FAULTS = {
    "hang up": Fault(kind="reset"),
    "half an answer": Fault(kind="truncate"),
    "bad gateway": html_page(status=502),
    "captive portal": html_page(status=200),
    "another shape": Fault(status=200, body=b"[]"),
    "empty list": Fault(status=200, body=b'{"success":true,"result":{"accounts":[]}}'),
    "failure in 200": Fault(status=200, body=b'{"success":false,"error":{"type":"x"}}'),
    "not allowed": api_error("invalidLinkedApiToken", status=401),
    "too many": api_error("tooManyRequests", status=429),
    "elsewhere": redirect("http://127.0.0.1:1/"),
}


@pytest.mark.odd_input("no connection, bad certificate or no answer", "odd body")
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
async def test_promise_2_no_fault_of_transport_changes_an_account(tmp_path, fault):
    async with poll_harness(tmp_path, accounts=4) as harness:
        harness.simulator.sign_out("acme", "a1")
        await harness.poll()
        before = harness.recorded()
        harness.simulator.faults.add(fault)

        events = await harness.poll(40)

        assert harness.recorded().accounts == before.accounts
        assert [event for event, _ in events] == ["opened"]  # the workspace is blind, nothing else
        harness.simulator.clear_faults()
        harness.simulator.sign_out("acme", "a2")
        events = await harness.poll(20)
        assert [cause for event, cause in events if event == "opened"] == ["reconnection_required"]


@pytest.mark.pain("fault of its own database told as an alert")
async def test_promise_2_no_fault_of_storage_changes_an_account(tmp_path):
    async with poll_harness(tmp_path, accounts=2) as harness:
        await harness.poll()
        before = harness.recorded()
        harness.simulator.sign_out("acme", "*")

        with failing_writes(harness.store, "transition"):
            for _ in range(3):
                with pytest.raises(StoreError):
                    await harness.poll()

        assert harness.recorded() == before
        assert await harness.poll() == [OPENED] * 2


@pytest.mark.odd_input("clock jumps")
@pytest.mark.parametrize("jump", [-400 * DAY, -HOUR, HOUR, 400 * DAY])
def test_promise_2_a_clock_that_jumps_opens_and_closes_nothing(store, jump):
    harness = StoreHarness(store)
    harness.poll(listed_account("a"), signed_out("b"))

    recorded = harness.poll(listed_account("a"), signed_out("b"), after=jump)

    assert recorded.decision.events == ()
    assert harness.workspace.accounts["b"].since <= harness.now


# ── 3: told once ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.odd_input("restart during an incident")
@pytest.mark.pain("restart that tells everything again")
async def test_promise_3_neither_a_restart_nor_a_new_link_repeats_an_alert(tmp_path):
    events = []
    for start in range(4):
        async with poll_harness(tmp_path) as harness:
            harness.numbers = count(10_000 * start)
            harness.now += start * HOUR
            harness.simulator.sign_out("acme", "a1")
            for _ in range(3):
                events += await harness.poll()
                harness.simulator.rotate_link("acme", "a1")

    assert events == [OPENED]


# ── 6: secrets stay in ───────────────────────────────────────────────────────────────────────────


@pytest.mark.slow
async def test_promise_6_no_secret_is_in_any_log_metric_error_message_or_the_database(tmp_path):
    token, path, password = "linked_s3cr3tT0ken", "hookS3cr3tPath", "p4ssw0rdS3cr3t"
    simulator = simulated(3, token=token)
    async with serve(simulator) as api, hooks() as (hook, hook_url):
        file, endpoint = configure(tmp_path, api=api, hooks=hook_url, more="log: {level: debug}")
        mail = "host: 127.0.0.1, port: 9, tls: none, from: m@x.test, to: [o@x.test]"
        receiver = f"  - {{name: mail, type: email, {mail}, username: u, password: {password}}}"
        file.write_text(
            file.read_text()
            .replace("linked_test_token", token)
            .replace(f"{hook_url}/slack", f"{hook_url}/{path}")  # answers 404
            .replace("storage:", f"{receiver}\nstorage:")
        )
        log = tmp_path / "run.log"
        async with program("run", "-c", str(file), log=log) as monitor:
            await answers(f"{endpoint}/readyz")
            await until(lambda: polled(simulator, "acme"))
            simulator.sign_out("acme", "*")
            await hook.wait(lambda: len(hook.events) >= 3)
            simulator.faults.add(html_page(status=502, times=2))
            polls = polled(simulator, "acme")
            await until(lambda: polled(simulator, "acme") > polls + 3)
            async with httpx.AsyncClient() as client:
                metrics = (await client.get(f"{endpoint}/metrics")).text
            await monitor.stop()

    links = {event["data"]["link"] for event in hook.events}
    sessions = {link.rpartition("/")[2] for link in links}
    assert len(sessions) == 3, "alerts with links have been sent, so there was something to leak"
    assert "not delivered" in monitor.output(), "a receiver failed, so an error could have leaked"
    files = tmp_path.glob("monitor.db*")
    database = b"".join(file.read_bytes() for file in files).decode("latin-1")
    secrets = {token, path, password, WEBHOOK_SECRET, WEBHOOK_SECRET.removeprefix("whsec_")}
    for account in simulator.customer("acme").accounts.values():
        secrets.add(account.identification_token)
    for secret in secrets:
        assert secret not in monitor.output()
        assert secret not in metrics
        assert secret not in str(hook.events)
        assert secret not in database
    for session in sessions:
        assert session not in monitor.output()
        assert session not in metrics
        assert session in database  # the one place that may hold links


# ── 7: do no harm ────────────────────────────────────────────────────────────────────────────────


async def test_promise_7_a_long_outage_calls_nothing_but_the_list_and_within_our_share(tmp_path):
    async with poll_harness(tmp_path, accounts=30, create=True) as harness:
        await harness.poll()
        harness.simulator.sign_out("acme", "*")
        for number in range(30):
            harness.simulator.set_session("acme", f"a{number + 1}", "streaming")
        for _ in range(60):
            await harness.poll()
            await harness.reconnector.reconnect()

    assert {request.method for request in harness.simulator.requests} == {"accounts.getAll"}


async def test_promise_7_our_share_of_the_rate_limit_is_bounded(tmp_path):
    async with poll_harness(tmp_path) as harness:
        await harness.poll(200, after=Duration.parse("10ms"))

        assert harness.calls() <= 60


# ── 8: never silently blind ──────────────────────────────────────────────────────────────────────


@pytest.mark.odd_input("outage of hours")
async def test_promise_8_blindness_is_told_and_what_was_known_stays(tmp_path):
    async with poll_harness(tmp_path, accounts=3) as harness:
        await harness.poll()
        harness.simulator.sign_out("acme", "a1")
        await harness.poll()
        harness.simulator.faults.add(html_page(status=503))

        assert await harness.poll(10) == [("opened", "unreachable")]

        exposition = harness.exposition
        assert 'linkedapi_workspace_up{workspace="acme"} 0' in exposition
        assert re.search(r'linkedapi_account_status\{[^}]*status="active"[^}]*\} 1', exposition)
        assert 'linkedapi_incidents_open{workspace="acme",cause="unreachable"} 1' in exposition
        harness.simulator.clear_faults()
        harness.simulator.recover("acme", "*")
        assert await harness.poll() == [
            ("resolved", "unreachable"),
            ("resolved", "reconnection_required"),
        ]


# ── 9: bounded ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.odd_input("one workspace hangs")
@pytest.mark.slow
async def test_promise_9_what_hangs_delays_nobody_else(tmp_path):
    simulator = Simulator(seed=9)
    for name in ("stuck", "acme"):
        simulator.add_customer(name, f"linked_{name}")
        simulator.add_accounts(name, 2)
    simulator.add_fault("hang", customer="stuck")
    async with serve(simulator) as api, hooks() as (hook, hook_url):
        file, _ = configure(tmp_path, api=api, hooks=hook_url)
        file.write_text(
            file.read_text()
            .replace("token: linked_test_token", "token: linked_acme")
            .replace("workspaces:", "workspaces:\n  - {name: stuck, token: linked_stuck}")
            .replace(f"{hook_url}/slack", f"{hook_url}/never")
        )
        async with operations.opened(process.load(file)) as monitor:
            running = asyncio.create_task(monitor.run())
            await until(lambda: polled(simulator, "acme"))
            simulator.sign_out("acme", "*")

            await hook.wait(lambda: len(hook.events) >= 2, within=5)

            monitor.stop()
            await running
    assert polled(simulator, "acme") > polled(simulator, "stuck")


def polled(simulator, customer):
    return sum(request.customer == customer for request in simulator.requests)

"""Sessions that we ask for: when, how often, and what comes of it."""

import asyncio
import json
from dataclasses import replace

import pytest
from harness.answers import api_error
from harness.core import HOUR
from harness.faults import failing_writes
from harness.leases import hold
from harness.poll import poll_harness
from harness.program import until
from sqlalchemy import text

from monitor.core.act import Act, ActKind, Way
from monitor.core.duration import Duration
from monitor.core.errors import ActError
from monitor.core.inventory import Inventory
from monitor.core.model import Cause
from monitor.core.policy import DeliveryPolicy
from monitor.simulator import Fault
from monitor.source.settings import LinkedApiSettings
from monitor.store import session_intents, workspaces
from monitor.store.db import LeaseLostError, StoreError
from monitor.work.act import Chosen, reconnect
from monitor.work.deliver import Deliverer, DeliveryRules
from monitor.work.tick import Ticker, TickRules

STATE = "accounts.getConnectionSession"
CREATE = "accounts.createReconnectionSession"
LINK = ("reconnectionLink",)
LINK_AND_ID = (*LINK, "reconnectionSessionId")


@pytest.fixture
async def harness(tmp_path):
    async with poll_harness(tmp_path, create=True) as harness:
        yield harness


async def sign_out(harness, *, without=LINK_AND_ID):
    """Sign the account out; its entry in the list is *without* these fields."""
    await harness.poll()
    harness.simulator.sign_out("acme", "a1")
    harness.simulator.patch("acme", "a1", without=without)
    assert await harness.poll() == [("opened", "reconnection_required")]


async def test_a_missing_link_is_asked_for_once(harness):
    woken, reconnector = [], harness.reconnector
    reconnector.recorder = replace(reconnector.recorder, wake=woken.append)
    await sign_out(harness)

    assert await reconnector.reconnect() == "created"
    assert woken == [{"chat"}]
    assert await harness.poll(5) == []
    assert await harness.reconnector.reconnect() is None

    assert harness.session().link is not None
    assert harness.calls(CREATE) == 1


async def test_create_never_asks_for_nothing(tmp_path):
    async with poll_harness(tmp_path, create=False) as harness:
        await sign_out(harness)

        assert await harness.reconnector.reconnect() is None


async def test_once_asking_is_switched_off_recorded_intents_are_dropped(harness):
    await sign_out(harness)
    policy, routing = harness.poller.rules.policy, harness.routing
    harness.reconnector.reconfigure(policy, routing, harness.source, create=False, cooldown=HOUR)

    assert await harness.reconnector.reconnect() == "needless"
    assert harness.calls(CREATE) == 0


def want(harness):
    """Let a person want a link for the account that is signed out."""
    act = Act("act", harness.now, ActKind.RECONNECT, Way.CLI, "ann", workspace="acme")
    act = replace(act, id=harness.new_id())
    chosen = Chosen(cause=Cause.RECONNECTION_REQUIRED)
    return harness.store.run_now(lambda tx: reconnect(tx, act, chosen, harness.new_id))


async def test_what_a_person_wants_is_asked_for_whatever_is_configured(tmp_path):
    async with poll_harness(tmp_path, create=False) as harness:
        await sign_out(harness)

        (id_,) = want(harness)

        assert await harness.reconnector.reconnect() == "created"
        (row,) = harness.store.run_now(lambda tx: session_intents.outcomes(tx, [id_]))
        name = harness.recorded().accounts["a1"].name
        assert (row["outcome"], row["account_name"]) == ("created", name)
        assert row["link"] == harness.session().link.reveal()


async def test_what_a_person_wants_is_asked_for_within_the_cooldown_but_no_link_is_replaced(
    harness,
):
    await sign_out(harness)
    assert await harness.reconnector.reconnect() == "created"
    want(harness)
    assert await harness.reconnector.reconnect() == "kept"
    assert harness.calls(CREATE) == 1
    harness.simulator.expire_session("acme", "a1")
    await harness.poll()

    want(harness)

    assert await harness.reconnector.reconnect() == "created"
    assert harness.calls(CREATE) == 2


async def test_a_link_that_the_list_shows_is_asked_about_and_replaced_if_it_is_over(harness):
    await sign_out(harness, without=())
    want(harness)
    assert await harness.reconnector.reconnect() == "kept"
    assert (harness.calls(STATE), harness.calls(CREATE)) == (1, 0)
    session = harness.session().id
    harness.simulator.set_session_status(session, "error")

    want(harness)

    assert await harness.reconnector.reconnect() == "created"
    assert harness.session().id != session


async def test_what_two_want_is_asked_for_once(harness):
    await sign_out(harness)

    assert want(harness) == want(harness)
    assert await harness.reconnector.reconnect() == "created"
    assert await harness.reconnector.reconnect() is None


async def test_no_link_is_asked_for_that_no_login_needs(harness):
    await harness.poll()
    harness.simulator.freeze("acme", "a1")
    await harness.poll()
    act = Act("act", harness.now, ActKind.RECONNECT, Way.CLI, "ann", workspace="acme")

    with pytest.raises(ActError, match="no such account is signed out"):
        harness.store.run_now(
            lambda tx: reconnect(tx, act, Chosen(cause=Cause.FROZEN), harness.new_id)
        )


@pytest.mark.parametrize("change", ["clear_patch", "recover"])
async def test_an_account_that_has_a_link_or_needs_none_by_now_is_left_alone(harness, change):
    await sign_out(harness)
    getattr(harness.simulator, change)("acme", "a1")
    await harness.poll()

    assert await harness.reconnector.reconnect() == "needless"
    assert (harness.session() is None) is (change == "recover")
    assert harness.calls(CREATE) == 0


@pytest.mark.odd_input("account recovers before create")
async def test_an_account_that_recovered_just_now_is_resolved_by_the_next_poll(harness):
    await sign_out(harness)
    harness.simulator.recover("acme", "a1")

    assert await harness.reconnector.reconnect() == "refused"
    assert await harness.poll() == [("resolved", "reconnection_required")]


async def test_a_monitor_that_was_taken_over_asks_for_nothing(harness):
    await sign_out(harness)
    harness.store.run_now(lambda tx: hold(tx, "acme"))

    with pytest.raises(LeaseLostError):
        await harness.reconnector.reconnect()

    assert harness.calls(CREATE) == 0


async def test_who_is_not_sure_to_hold_a_workspace_asks_for_no_session(harness):
    await sign_out(harness)
    harness.reconnector.is_sure = lambda: False

    assert await harness.reconnector.reconnect() == "later"

    assert harness.calls(CREATE) == 0


async def test_a_session_asked_for_under_an_older_term_is_not_recorded(harness):
    await sign_out(harness)
    harness.simulator.faults.add(Fault(kind="delay", delay=0.3, method=CREATE))
    asking = asyncio.create_task(harness.reconnector.reconnect())
    await until(lambda: harness.calls(CREATE))
    harness.store.run_now(lambda tx: hold(tx, "acme"))

    with pytest.raises(LeaseLostError):
        await asking

    assert harness.session() is None or harness.session().link is None


# ── a link that the list does not show, before it is told again ──────────────────────────────────

SETTLE = [
    text(f"UPDATE {table} SET state = 'delivered', settled_at = 1")
    for table in ("notification", "message")
]
WAITING = text("SELECT COUNT(*) FROM message WHERE state = 'pending' AND next_attempt_at > :now")


async def remind(harness, *, after=HOUR):
    """Let a reminder of what was told be due and about to leave; return who is looked at first."""
    rules, looked_at = harness.poller.rules, []
    recorder = replace(harness.poller._recorder, look=looked_at.append)
    ticks = TickRules(rules.policy, rules.routing, keep=Duration.parse("180d"))
    ticker = Ticker(ticks, recorder, lambda _: 1)
    deliveries = DeliveryRules(DeliveryPolicy(), Inventory({"acme": {}}))
    chat = rules.routing.receivers["chat"]
    harness.store.run_now(lambda tx: [tx.execute(statement) for statement in SETTLE])
    harness.now += after
    harness.seconds += after.seconds
    seen = harness.poller.rules.liveness("acme", harness.poller.term, harness.now)
    harness.store.run_now(lambda tx: workspaces.write_look(tx, seen))
    assert await ticker.tick()
    await Deliverer(chat, None, deliveries, recorder, "by").claim()
    return looked_at


def waiting(harness):
    return harness.store.run_now(lambda tx: tx.execute(WAITING, {"now": harness.now}).scalar_one())


@pytest.mark.odd_input("session expires before a reminder")
async def test_a_link_that_we_asked_for_and_that_expired_is_replaced_before_a_reminder(harness):
    await sign_out(harness)
    await harness.reconnector.reconnect()
    before = harness.session()
    harness.simulator.set_session("acme", "a1", "expired")

    assert await remind(harness) == ["acme"]
    assert waiting(harness) == 1
    assert await harness.reconnector.reconnect() == "created"

    assert harness.session().link not in {None, before.link}
    assert waiting(harness) == 0


async def test_a_link_that_we_asked_for_and_that_still_is_good_is_told_again(harness):
    await sign_out(harness)
    await harness.reconnector.reconnect()
    before = harness.session()

    await remind(harness)
    assert await harness.reconnector.reconnect() == "needless"

    assert harness.session() == replace(before, unconfirmed_since=harness.now)
    assert waiting(harness) == 0
    assert harness.calls(CREATE) == 1


async def test_an_expired_link_is_told_no_more_though_it_is_too_early_for_another(harness):
    await sign_out(harness)
    await harness.reconnector.reconnect()
    harness.reconnector.cooldown = 3 * HOUR
    harness.poller.rules = replace(harness.poller.rules, cooldown=3 * HOUR)
    harness.simulator.set_session("acme", "a1", "expired")

    await remind(harness)
    assert await harness.reconnector.reconnect() == "later"
    assert harness.session() is None
    harness.poller.compare_anew()
    await harness.poll(2, after=Duration.parse("30m"))
    assert await harness.reconnector.reconnect() is None
    await harness.poll(after=HOUR)

    assert await harness.reconnector.reconnect() == "created"


async def test_if_nobody_can_say_whether_a_link_is_good_it_is_told(harness):
    await sign_out(harness)
    await harness.reconnector.reconnect()
    before = harness.session()
    harness.simulator.faults.add(Fault(status=502, body=b"", method=STATE))

    await remind(harness)
    assert await harness.reconnector.reconnect() == "later"

    assert harness.session() == before
    assert waiting(harness) == 0


async def test_once_asking_is_switched_off_an_expired_link_is_told_no_more(harness):
    await sign_out(harness)
    await harness.reconnector.reconnect()
    harness.reconnector.create = False
    harness.simulator.set_session("acme", "a1", "expired")

    await remind(harness)
    assert await harness.reconnector.reconnect() == "needless"

    assert harness.session() is None
    assert harness.calls(CREATE) == 1


async def test_a_link_that_the_list_shows_is_told_again_without_a_question(harness):
    await harness.poll()
    harness.simulator.sign_out("acme", "a1")
    await harness.poll()

    assert await remind(harness) == []

    assert waiting(harness) == 0
    assert await harness.reconnector.reconnect() is None


async def test_a_link_that_the_list_shows_no_more_is_asked_about(harness):
    await harness.poll()
    harness.simulator.sign_out("acme", "a1")
    await harness.poll()
    harness.simulator.patch("acme", "a1", without=LINK_AND_ID)
    await harness.poll()

    await remind(harness)

    assert await harness.reconnector.reconnect() == "needless"
    assert harness.calls(STATE) == 1


# ── a session that there is already ──────────────────────────────────────────────────────────────


@pytest.mark.odd_input("login under way", "session of unknown status")
@pytest.mark.parametrize(
    "status",
    ["pending", "preparing", "serving", "streaming", "paused", "STREAMING", "a new word"],
)
async def test_a_session_that_may_be_in_use_is_never_replaced(harness, status):
    await sign_out(harness, without=LINK)
    session = {"sessionId": "d90ac1f6", "status": status, "type": ["of", "any", "kind"]}
    body = json.dumps({"success": True, "result": {"session": session}})
    harness.simulator.add_fault(body=body, method="accounts.getConnectionSession")

    assert await harness.reconnector.reconnect() == "kept"
    assert harness.calls(CREATE) == 0


@pytest.mark.odd_input("login under way")
async def test_a_login_under_way_is_never_replaced_however_long_it_takes(harness):
    harness.simulator.tune(progress_ttl=1e6)
    await sign_out(harness, without=LINK)
    session = harness.simulator.set_session("acme", "a1", "streaming")
    for _ in range(200):
        assert await harness.reconnector.reconnect() in {None, "kept"}
        await harness.poll()

    assert session.status == "streaming"
    assert harness.calls(CREATE) == 0


@pytest.mark.odd_input("session fails or is cancelled")
@pytest.mark.parametrize("end", ["error", "cancelled", "expired", "success"])
async def test_a_session_that_ended_is_replaced_once(harness, end):
    await sign_out(harness, without=LINK)
    harness.simulator.set_session_status(harness.session().id, end)
    harness.simulator.sign_out("acme", "a1")  # a success was a login

    assert await harness.reconnector.reconnect() == "created"
    assert await harness.reconnector.reconnect() is None
    assert harness.session().link is not None


@pytest.mark.odd_input("session is forgotten")
async def test_a_session_that_is_forgotten_is_replaced(harness):
    await sign_out(harness, without=LINK)
    harness.simulator.expire_session("acme", "a1")
    harness.simulator.advance(harness.simulator.assumptions.session_retention + 1)

    assert await harness.reconnector.reconnect() == "created"


@pytest.mark.odd_input("create returns the running session")
async def test_a_session_that_applies_a_proxy_change_comes_back_as_it_was(harness):
    await sign_out(harness)
    running = harness.simulator.set_session("acme", "a1", "serving")
    harness.simulator.set_proxy_change(running.id, applying=True)

    assert await harness.reconnector.reconnect() == "created"
    assert harness.session().id == running.id
    assert running.status == "serving"


# ── calls that fail ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.odd_input("create without an answer")
@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        (api_error("accountNotFound", status=401, method=CREATE), "refused"),
        (api_error("invalidRequestPayload", status=429, method=CREATE), "refused"),
        (Fault(kind="reset", method=CREATE), "unknown"),
    ],
)
async def test_a_call_that_failed_is_not_repeated_soon(harness, fault, outcome):
    await sign_out(harness)
    harness.simulator.faults.add(fault)

    assert await harness.reconnector.reconnect() == outcome
    await harness.poll(30)
    assert await harness.reconnector.reconnect() is None
    assert harness.calls(CREATE) == 1


@pytest.mark.odd_input("too many connection attempts")
@pytest.mark.parametrize("status", [400, 403, 429])
async def test_too_many_attempts_end_asking_for_hours_and_polling_goes_on(harness, status):
    harness.simulator.tune(
        get_all_creates_sessions=False,
        reconnections_count=True,
        daily_attempts=0,
        attempts_status=status,
    )
    await sign_out(harness)
    assert await harness.reconnector.reconnect() == "limited"
    for _ in range(90):
        await harness.poll()
        assert await harness.reconnector.reconnect() is None

    assert 'linkedapi_workspace_up{workspace="acme"} 1' in harness.exposition
    assert harness.calls(CREATE) == 1


@pytest.mark.odd_input("create without an answer")
async def test_a_session_made_without_an_answer_is_found_in_the_next_list(harness):
    harness.simulator.tune(get_all_creates_sessions=False)
    await sign_out(harness)
    harness.simulator.add_fault("truncate", method=CREATE)

    assert await harness.reconnector.reconnect() == "unknown"
    harness.simulator.clear_patch("acme", "a1")
    await harness.poll()

    assert harness.session().link is not None
    assert await harness.reconnector.reconnect() is None
    assert harness.calls(CREATE) == 1


@pytest.mark.odd_input("too many requests at create")
@pytest.mark.parametrize("passing", ["rate limit", "our own share", "no connection"])
async def test_what_only_passes_is_asked_again_a_minute_later(harness, passing):
    await sign_out(harness)
    if passing == "rate limit":
        limited = api_error("tooManyRequests", status=429, times=1, method=CREATE)
        harness.simulator.faults.add(limited)
    elif passing == "our own share":
        while harness.source._budget.take(harness.seconds) == 0:
            pass
    else:
        harness.source._settings = LinkedApiSettings(base_url="http://127.0.0.1:9")

    assert await harness.reconnector.reconnect() == "later"
    harness.source._settings = LinkedApiSettings(base_url=harness.api)
    await harness.poll(2)
    assert await harness.reconnector.reconnect() == "created"


async def test_a_call_whose_end_could_not_be_recorded_is_given_up_later(harness):
    await sign_out(harness)
    with failing_writes(harness.store, "session"), pytest.raises(StoreError):
        await harness.reconnector.reconnect()

    assert await harness.reconnector.reconnect() is None
    await harness.poll(70)
    assert await harness.reconnector.reconnect() == "created"

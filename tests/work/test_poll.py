"""Polls, end to end in one process: simulated API, real client, real store."""

import asyncio
from dataclasses import replace

import pytest
from harness.core import make_routing
from harness.faults import failing_writes
from harness.poll import TOKEN, poll_harness
from harness.program import until

from monitor.config.settings import PollSettings
from monitor.core.duration import Duration
from monitor.core.inventory import AccountMatch, AccountRule, Inventory
from monitor.core.route import Match, Route
from monitor.core.secret import Secret
from monitor.simulator import Fault, api_error, html_page
from monitor.source.client import LinkedApi
from monitor.source.settings import LinkedApiSettings
from monitor.source.token import Token
from monitor.store import accounts, workspaces
from monitor.store.db import LeaseLostError, StoreError


def ids(harness):
    return list(harness.simulator.customer("acme").accounts)


async def test_one_call_per_poll_whatever_the_number_of_accounts(tmp_path):
    async with poll_harness(tmp_path, accounts=300) as harness:
        await harness.poll(3)

        assert harness.calls() == 3


async def test_a_quiet_poll_writes_nothing_but_remembers_that_all_was_well(tmp_path):
    async with poll_harness(tmp_path, accounts=3) as harness:
        await harness.poll()
        before = harness.store.run_now(lambda tx: workspaces.load(tx, "acme"))
        await harness.poll()

        assert harness.store.run_now(lambda tx: workspaces.load(tx, "acme")) == before
        assert harness.poller.take_good_at() == harness.now
        assert harness.poller.take_good_at() is None


async def test_a_sign_out_and_a_recovery_are_noticed(tmp_path):
    async with poll_harness(tmp_path, accounts=3) as harness:
        await harness.poll()
        harness.simulator.sign_out("acme", ids(harness)[0])

        assert await harness.poll() == [("opened", "reconnection_required")]
        assert await harness.poll(3) == []
        harness.simulator.recover("acme", ids(harness)[0])
        assert await harness.poll() == [("resolved", "reconnection_required")]


@pytest.mark.row(35)
async def test_a_failing_api_is_one_incident_and_touches_no_account(tmp_path):
    async with poll_harness(tmp_path, accounts=3) as harness:
        await harness.poll()
        harness.simulator.faults.add(html_page(status=502))

        told = await harness.poll(30)

        assert told == [("opened", "unreachable")]
        assert 'linkedapi_workspace_up{workspace="acme"} 0' in harness.metric
        assert 'linkedapi_accounts{status="active",workspace="acme"} 3' in harness.metric.replace(
            '{workspace="acme",status="active"}', '{status="active",workspace="acme"}'
        )
        harness.simulator.clear_faults()
        assert await harness.poll() == [("resolved", "unreachable")]


async def test_a_rejected_token_is_asked_about_ever_less_often(tmp_path):
    async with poll_harness(tmp_path, accounts=1) as harness:
        await harness.poll()
        harness.simulator.set_token("acme", "linked_other")

        assert await harness.poll(60) == [("opened", "token_rejected")]

        assert harness.calls() < 15


@pytest.mark.row(33)
async def test_a_token_rotated_in_its_file_counts_at_once(tmp_path):
    file = tmp_path / "token"
    file.write_text(TOKEN + "\n")
    async with poll_harness(tmp_path, accounts=1, token=file) as harness:
        await harness.poll()
        harness.simulator.set_token("acme", "linked_rotated")
        await harness.poll(10)

        file.write_text("linked_rotated\n")

        assert await harness.poll() == [("resolved", "token_rejected")]


@pytest.mark.row(29)
async def test_a_rate_limit_is_given_time(tmp_path):
    async with poll_harness(tmp_path, accounts=1) as harness:
        await harness.poll()
        limited = api_error("tooManyRequests", status=429)
        harness.simulator.faults.add(limited)

        await harness.poll(3, after=Duration.parse("1s"))

        assert harness.calls() == 2


async def test_what_could_not_be_recorded_is_recorded_by_the_next_poll(tmp_path):
    async with poll_harness(tmp_path, accounts=1) as harness:
        await harness.poll()
        harness.simulator.sign_out("acme", "*")

        with failing_writes(harness.store, "event"), pytest.raises(StoreError):
            await harness.poll()

        assert await harness.poll() == [("opened", "reconnection_required")]


async def test_a_monitor_that_was_taken_over_records_nothing(tmp_path):
    async with poll_harness(tmp_path, accounts=1) as harness:
        await harness.poll()
        harness.store.run_now(lambda tx: workspaces.attach(tx, "acme"))
        harness.simulator.sign_out("acme", "*")

        with pytest.raises(LeaseLostError):
            await harness.poll()


async def test_an_odd_list_is_warned_about_once(tmp_path, capsys):
    async with poll_harness(tmp_path, accounts=2) as harness:
        harness.simulator.patch("acme", ids(harness)[0], {"status": "suspended"})

        await harness.poll(3)

        assert capsys.readouterr().out.count("odd account list") == 1


# ── reconnection sessions that we ask for ────────────────────────────────────────────────────────

NO_LINK = ("reconnectionLink", "reconnectionSessionId")


async def signed_out_without_link(harness):
    await harness.poll()
    harness.simulator.sign_out("acme", "*")
    harness.simulator.patch("acme", ids(harness)[0], {}, without=NO_LINK)
    assert await harness.poll() == [("opened", "reconnection_required")]


async def test_a_missing_link_is_asked_for_once(tmp_path):
    async with poll_harness(tmp_path, accounts=1, create=True) as harness:
        await signed_out_without_link(harness)

        assert await harness.reconnector.reconnect() == "created"
        harness.poller.invalidate()
        assert await harness.poll(5) == []
        assert await harness.reconnector.reconnect() is None

        account = harness.store.run_now(lambda tx: accounts.load(tx, "acme", ids(harness)[0]))
        assert account.session.link is not None
        assert harness.calls("accounts.createReconnectionSession") == 1


async def test_create_never_asks_for_nothing(tmp_path):
    async with poll_harness(tmp_path, accounts=1, create=False) as harness:
        await signed_out_without_link(harness)

        assert await harness.reconnector.reconnect() is None


@pytest.mark.row(41)
@pytest.mark.parametrize("status", ["pending", "preparing", "serving", "streaming"])
async def test_a_session_that_may_be_in_use_is_never_replaced(tmp_path, status):
    async with poll_harness(tmp_path, accounts=1, create=True) as harness:
        await harness.poll()
        harness.simulator.sign_out("acme", "*")
        harness.simulator.set_session("acme", ids(harness)[0], status)
        harness.simulator.patch("acme", ids(harness)[0], {}, without=("reconnectionLink",))
        await harness.poll()

        assert await harness.reconnector.reconnect() == "kept"
        assert harness.calls("accounts.createReconnectionSession") == 0


@pytest.mark.row(39)
async def test_a_session_that_ended_or_is_forgotten_is_replaced(tmp_path):
    async with poll_harness(tmp_path, accounts=1, create=True) as harness:
        await harness.poll()
        harness.simulator.sign_out("acme", "*")
        gone = {"reconnectionSessionId": "00000000-0000-4000-8000-000000000000"}
        harness.simulator.patch("acme", ids(harness)[0], gone, without=("reconnectionLink",))
        await harness.poll()

        assert await harness.reconnector.reconnect() == "created"


@pytest.mark.row(40)
async def test_an_account_that_recovered_meanwhile_is_a_harmless_race(tmp_path):
    async with poll_harness(tmp_path, accounts=1, create=True) as harness:
        await signed_out_without_link(harness)
        harness.simulator.recover("acme", "*")

        assert await harness.reconnector.reconnect() == "refused"


@pytest.mark.row(42)
@pytest.mark.parametrize(
    ("error", "status", "outcome"),
    [
        ("dailyConnectionAttemptsExceeded", 429, "limited"),
        ("dailyConnectionAttemptsExceeded", 400, "limited"),
        ("accountNotFound", 401, "refused"),
    ],
)
async def test_refusals_are_not_asked_again_soon(tmp_path, error, status, outcome):
    async with poll_harness(tmp_path, accounts=1, create=True) as harness:
        await signed_out_without_link(harness)
        harness.simulator.faults.add(
            api_error(error, status=status, method="accounts.createReconnectionSession")
        )

        assert await harness.reconnector.reconnect() == outcome
        harness.poller.invalidate()
        await harness.poll(30)
        assert await harness.reconnector.reconnect() is None
        assert harness.calls("accounts.createReconnectionSession") == 1


@pytest.mark.row(40)
async def test_a_call_of_unknown_outcome_is_not_repeated(tmp_path):
    async with poll_harness(tmp_path, accounts=1, create=True) as harness:
        await signed_out_without_link(harness)
        harness.simulator.add_fault("reset", method="accounts.createReconnectionSession")

        assert await harness.reconnector.reconnect() == "unknown"
        harness.poller.invalidate()
        await harness.poll(30)
        assert await harness.reconnector.reconnect() is None


async def test_an_account_that_has_a_link_by_now_is_left_alone(tmp_path):
    async with poll_harness(tmp_path, accounts=1, create=True) as harness:
        await signed_out_without_link(harness)
        harness.simulator.clear_patch("acme", ids(harness)[0])
        await harness.poll()

        assert await harness.reconnector.reconnect() == "needless"
        assert harness.calls("accounts.createReconnectionSession") == 0


async def test_a_link_that_comes_after_recovery_is_not_kept(tmp_path):
    async with poll_harness(tmp_path, accounts=1, create=True) as harness:
        await signed_out_without_link(harness)
        harness.simulator.recover("acme", "*")
        await harness.poll()

        assert await harness.reconnector.reconnect() == "needless"
        account = harness.store.run_now(lambda tx: accounts.load(tx, "acme", ids(harness)[0]))
        assert account.session is None


@pytest.mark.parametrize("passing", ["rate limit", "our own share", "no connection"])
async def test_what_only_passes_is_asked_again_a_minute_later(tmp_path, passing):
    async with poll_harness(tmp_path, accounts=1, create=True) as harness:
        await signed_out_without_link(harness)
        create = {"method": "accounts.createReconnectionSession"}
        if passing == "rate limit":
            harness.simulator.faults.add(
                api_error("tooManyRequests", status=429, times=1, **create)
            )
        elif passing == "our own share":
            while harness.source._budget.take(harness.seconds) == 0:
                pass
        else:
            harness.source._settings = LinkedApiSettings(base_url="http://127.0.0.1:9")

        assert await harness.reconnector.reconnect() == "later"
        harness.source._settings = LinkedApiSettings(base_url=harness.api)
        harness.poller.invalidate()
        await harness.poll(2)
        assert await harness.reconnector.reconnect() == "created"


async def test_a_call_whose_end_could_not_be_recorded_is_given_up_later(tmp_path):
    async with poll_harness(tmp_path, accounts=1, create=True) as harness:
        await signed_out_without_link(harness)
        with failing_writes(harness.store, "session"), pytest.raises(StoreError):
            await harness.reconnector.reconnect()

        assert await harness.reconnector.reconnect() is None
        await harness.poll(70)
        assert await harness.reconnector.reconnect() == "created"


async def test_a_poll_that_could_not_be_recorded_is_not_counted_as_good(tmp_path):
    async with poll_harness(tmp_path, accounts=1) as harness:
        await harness.poll()
        harness.simulator.sign_out("acme", "*")

        with failing_writes(harness.store, "event"), pytest.raises(StoreError):
            await harness.poll()

        assert 'linkedapi_polls_total{workspace="acme",outcome="ok"} 1' in harness.metric


async def test_only_what_was_looked_at_lately_is_current(tmp_path):
    async with poll_harness(tmp_path, accounts=1) as harness:
        assert not harness.poller.is_current()
        await harness.poll()
        assert harness.poller.is_current()
        harness.now += Duration.parse("8h")  # asleep
        assert not harness.poller.is_current()
        harness.simulator.faults.add(html_page(status=502))
        await harness.poll()
        assert harness.poller.is_current()  # known to fail


async def test_our_own_share_used_up_is_no_failure(tmp_path):
    async with poll_harness(tmp_path, accounts=1) as harness:
        await harness.poll()

        assert await harness.poll(100, after=Duration.parse("10ms")) == []

        assert 'linkedapi_workspace_up{workspace="acme"} 1' in harness.metric
        assert 'outcome="rate_limited"} 0' in harness.metric


async def test_an_event_that_nobody_would_hear_of_is_counted_and_said(tmp_path, capsys):
    async with poll_harness(tmp_path, accounts=1) as harness:
        nobody = make_routing({"chat": True}, Route(match=Match(causes=("unknown",)), to=("chat",)))
        harness.poller.rules = replace(harness.poller.rules, routing=nobody)
        await harness.poll()
        harness.simulator.sign_out("acme", "*")

        assert await harness.poll() == [("opened", "reconnection_required")]

        assert "linkedapi_events_unrouted_total 1\n" in harness.metric
        assert "nobody is told" in capsys.readouterr().out


async def test_once_asking_is_switched_off_recorded_intents_are_dropped(tmp_path):
    async with poll_harness(tmp_path, accounts=1, create=True) as harness:
        await signed_out_without_link(harness)
        harness.reconnector.create = False

        assert await harness.reconnector.reconnect() == "needless"
        assert harness.calls("accounts.createReconnectionSession") == 0


async def test_blindness_is_told_in_time_although_polls_are_paused(tmp_path):
    async with poll_harness(tmp_path, accounts=1) as harness:
        await harness.poll()
        headers = {"retry-after": "900"}
        harness.simulator.faults.add(Fault(status=503, headers=headers, body=b""))

        told = await harness.poll(7)

        assert told == [("opened", "unreachable")]
        assert harness.calls() == 2


# ── another configuration ────────────────────────────────────────────────────────────────────────


def ignoring(*names):
    inventory = Inventory({"acme": {}}, [AccountRule(AccountMatch(names=names), ignore=True)])
    return make_routing({"chat": True}, inventory=inventory)


def reload(harness, *, source=None, **changes):
    rules = replace(harness.poller.rules, **changes)
    harness.poller.reload(rules, source or harness.source)


def another_source(harness, token=TOKEN):
    return LinkedApi(
        http=harness.source._http,
        token=Token(Secret(token)),
        settings=LinkedApiSettings(base_url=harness.api),
        link_origins=("https://app.linkedapi.io",),
        observe=harness.metrics.requested,
        monotonic=lambda: harness.seconds,
        version="0",
    )


def names(harness):
    workspace = harness.store.run_now(lambda tx: workspaces.load(tx, "acme"))
    return [one.name for one in workspace.accounts.values()]


async def test_an_ignored_account_is_never_heard_of(tmp_path):
    async with poll_harness(tmp_path, accounts=3) as harness:
        harness.simulator.patch("acme", ids(harness)[0], {"name": "Test one"})
        reload(harness, routing=ignoring("Test *"))
        await harness.poll()
        harness.simulator.sign_out("acme", ids(harness)[0])

        assert await harness.poll(3) == []

        assert len(names(harness)) == 2
        assert "Test one" not in harness.metric


async def test_a_reload_that_ignores_an_account_ends_its_incident_with_the_next_poll(tmp_path):
    async with poll_harness(tmp_path, accounts=3) as harness:
        harness.simulator.patch("acme", ids(harness)[0], {"name": "Test one"})
        await harness.poll()
        harness.simulator.sign_out("acme", ids(harness)[0])
        await harness.poll(2)

        reload(harness, routing=ignoring("Test *"))

        assert await harness.poll(3) == [("resolved", "reconnection_required")]
        assert len(names(harness)) == 2
        assert "Test one" not in harness.metric
        reload(harness, routing=ignoring("Nobody"))
        assert await harness.poll(3) == [("opened", "reconnection_required")]


async def test_a_new_name_alone_makes_an_account_ignored(tmp_path):
    async with poll_harness(tmp_path, accounts=3) as harness:
        reload(harness, routing=ignoring("Test *"))
        await harness.poll(2)

        harness.simulator.patch("acme", ids(harness)[0], {"name": "Test one"})

        assert await harness.poll(2) == []
        assert len(names(harness)) == 2
        assert 'linkedapi_accounts{workspace="acme",status="active"} 2' in harness.metric


async def test_if_everything_is_ignored_the_workspace_is_still_up(tmp_path):
    async with poll_harness(tmp_path, accounts=3) as harness:
        await harness.poll()

        reload(harness, routing=ignoring("*"))

        assert await harness.poll(30) == []
        assert names(harness) == []
        assert 'linkedapi_workspace_up{workspace="acme"} 1' in harness.metric


async def test_a_reload_compares_every_account_anew(tmp_path):
    async with poll_harness(tmp_path, accounts=2, open_after=1) as harness:
        await harness.poll()
        harness.simulator.sign_out("acme", "*")
        harness.simulator.patch("acme", ids(harness)[0], {}, without=NO_LINK)
        await harness.poll(2)
        assert await harness.reconnector.reconnect() is None

        reload(harness, create=True)
        harness.reconnector.reload(harness.routing, harness.source, create=True)
        await harness.poll()

        assert await harness.reconnector.reconnect() == "created"


async def test_a_reload_while_the_list_is_fetched_settles_nothing(tmp_path):
    async with poll_harness(tmp_path, accounts=2) as harness:
        await harness.poll()
        harness.simulator.patch("acme", ids(harness)[0], {"name": "Test one"})
        original, begun, go = harness.store.run, asyncio.Event(), asyncio.Event()

        async def held(work):
            begun.set()
            await go.wait()
            return await original(work)

        harness.store.run = held
        polling = asyncio.create_task(harness.poll())
        await asyncio.wait_for(begun.wait(), 10)
        reload(harness, routing=ignoring("Test *"))
        harness.store.run = original
        go.set()

        assert await asyncio.wait_for(polling, 10) == []
        assert len(names(harness)) == 2  # it was compared under the old rules
        await harness.poll()
        assert len(names(harness)) == 1


async def test_another_client_ends_the_pause_of_a_rejected_token(tmp_path):
    async with poll_harness(tmp_path, accounts=1) as harness:
        await harness.poll()
        harness.simulator.set_token("acme", "linked_other")
        await harness.poll(5)
        harness.simulator.set_token("acme", "linked_rotated")
        calls = harness.calls()

        reload(harness, source=another_source(harness, "linked_rotated"))

        assert await harness.poll() == [("resolved", "token_rejected")]
        assert harness.calls() == calls + 1


async def test_a_refusal_of_the_old_token_does_not_hold_up_the_new_one(tmp_path):
    async with poll_harness(tmp_path, accounts=1) as harness:
        await harness.poll()
        harness.simulator.set_token("acme", "linked_rotated")
        await harness.poll(5)
        harness.seconds += 3600
        harness.simulator.faults.add(Fault(kind="delay", delay=0.3, times=1))
        calls = len(harness.simulator.requests)
        polling = asyncio.create_task(harness.poll())
        await until(lambda: len(harness.simulator.requests) > calls)

        reload(harness, source=another_source(harness, "linked_rotated"))
        await polling

        calls = harness.calls()
        await harness.poll()
        assert harness.calls() == calls + 1
        assert harness.poller.is_current()


async def test_a_pause_stays_if_the_client_does(tmp_path):
    async with poll_harness(tmp_path, accounts=1) as harness:
        await harness.poll()
        harness.simulator.faults.add(Fault(status=429, headers={"retry-after": "600"}, body=b""))
        await harness.poll()
        calls = harness.calls()

        reload(harness, create=False)
        await harness.poll(5)

        assert harness.calls() == calls


@pytest.mark.parametrize(
    ("cron", "hours", "current"),
    [
        ("*/5 8-20 * * *", "10h", False),  # all afternoon without a poll
        ("0 8 * * *", "40h", True),  # until the poll of the day after tomorrow
        ("0 8 * * *", "45h", False),
        ("0 8 * * mon", "160h", True),
    ],
)
async def test_how_old_a_look_may_be_goes_by_the_rhythm(tmp_path, cron, hours, current):
    async with poll_harness(tmp_path, accounts=1) as harness:
        reload(harness, next_due=PollSettings(cron=cron).next_due)
        await harness.poll()

        harness.now += Duration.parse(hours)

        assert harness.poller.is_current() is current


async def test_a_night_between_two_polls_is_no_reason_to_doubt(tmp_path):
    async with poll_harness(tmp_path, accounts=1) as harness:
        reload(harness, next_due=PollSettings(cron="*/5 8-20 * * mon-fri").next_due)
        friday = Duration.parse("6294m")
        await harness.poll(
            after=friday
        )  # at 20:54, so the next is due at 20:55, then on Monday at 8

        harness.now += Duration.parse("59h")
        assert harness.poller.is_current()
        harness.now += Duration.parse("3h")
        assert not harness.poller.is_current()

"""Polls, end to end in one process: simulated API, real client, real store."""

import asyncio
from dataclasses import replace

import pytest
from program import until
from station import TOKEN, station

from monitor.core.duration import Duration
from monitor.core.roster import Roster, Rule
from monitor.core.route import Match, Route, Routing
from monitor.core.secret import Secret
from monitor.schedule import PollSettings
from monitor.simulator import Fault, api_error, html_page
from monitor.source.client import LinkedApi
from monitor.source.settings import LinkedApiSettings
from monitor.source.token import Token
from monitor.store import attachment, state
from monitor.store.db import ClaimLostError, StoreError


def ids(desk):
    return list(desk.simulator.customer("acme").accounts)


async def test_one_call_per_poll_whatever_the_number_of_accounts(tmp_path):
    async with station(tmp_path, accounts=300) as desk:
        await desk.poll(3)

        assert desk.calls() == 3


async def test_a_quiet_poll_writes_nothing_but_remembers_that_all_was_well(tmp_path):
    async with station(tmp_path, accounts=3) as desk:
        await desk.poll()
        before = desk.store.run_now(lambda tx: state.load(tx, "acme"))
        await desk.poll()

        assert desk.store.run_now(lambda tx: state.load(tx, "acme")) == before
        assert desk.poller.take_good_at() == desk.now
        assert desk.poller.take_good_at() is None


async def test_a_sign_out_and_a_recovery_are_noticed(tmp_path):
    async with station(tmp_path, accounts=3) as desk:
        await desk.poll()
        desk.simulator.sign_out("acme", ids(desk)[0])

        assert await desk.poll() == [("opened", "reconnection_required")]
        assert await desk.poll(3) == []
        desk.simulator.recover("acme", ids(desk)[0])
        assert await desk.poll() == [("resolved", "reconnection_required")]


@pytest.mark.row(35)
async def test_a_failing_api_is_one_incident_and_touches_no_account(tmp_path):
    async with station(tmp_path, accounts=3) as desk:
        await desk.poll()
        desk.simulator.faults.add(html_page(status=502))

        told = await desk.poll(30)

        assert told == [("opened", "unreachable")]
        assert 'linkedapi_workspace_up{workspace="acme"} 0' in desk.metric
        assert 'linkedapi_accounts{status="active",workspace="acme"} 3' in desk.metric.replace(
            '{workspace="acme",status="active"}', '{status="active",workspace="acme"}'
        )
        desk.simulator.clear_faults()
        assert await desk.poll() == [("resolved", "unreachable")]


async def test_a_rejected_token_is_asked_about_ever_less_often(tmp_path):
    async with station(tmp_path, accounts=1) as desk:
        await desk.poll()
        desk.simulator.set_token("acme", "linked_other")

        assert await desk.poll(60) == [("opened", "token_rejected")]

        assert desk.calls() < 15


@pytest.mark.row(33)
async def test_a_token_rotated_in_its_file_counts_at_once(tmp_path):
    file = tmp_path / "token"
    file.write_text(TOKEN + "\n")
    async with station(tmp_path, accounts=1, token=file) as desk:
        await desk.poll()
        desk.simulator.set_token("acme", "linked_rotated")
        await desk.poll(10)

        file.write_text("linked_rotated\n")

        assert await desk.poll() == [("resolved", "token_rejected")]


@pytest.mark.row(29)
async def test_a_rate_limit_is_given_time(tmp_path):
    async with station(tmp_path, accounts=1) as desk:
        await desk.poll()
        limited = api_error("tooManyRequests", status=429)
        desk.simulator.faults.add(limited)

        await desk.poll(3, after=Duration.parse("1s"))

        assert desk.calls() == 2


async def test_what_could_not_be_recorded_is_recorded_by_the_next_poll(tmp_path):
    async with station(tmp_path, accounts=1) as desk:
        await desk.poll()
        desk.simulator.sign_out("acme", "*")
        broken = desk.store.run_now
        desk.store.run_now(lambda tx: tx.exec_driver_sql("ALTER TABLE event RENAME TO gone"))

        with pytest.raises(StoreError):
            await desk.poll()
        broken(lambda tx: tx.exec_driver_sql("ALTER TABLE gone RENAME TO event"))

        assert await desk.poll() == [("opened", "reconnection_required")]


async def test_a_monitor_that_was_taken_over_records_nothing(tmp_path):
    async with station(tmp_path, accounts=1) as desk:
        await desk.poll()
        desk.store.run_now(lambda tx: attachment.enter(tx, "acme"))
        desk.simulator.sign_out("acme", "*")

        with pytest.raises(ClaimLostError):
            await desk.poll()


async def test_an_odd_list_is_warned_about_once(tmp_path, capsys):
    async with station(tmp_path, accounts=2) as desk:
        desk.simulator.patch("acme", ids(desk)[0], {"status": "suspended"})

        await desk.poll(3)

        assert capsys.readouterr().out.count("odd account list") == 1


# ── reconnection sessions that we ask for ────────────────────────────────────────────────────────

NO_LINK = ("reconnectionLink", "reconnectionSessionId")


async def signed_out_without_link(desk):
    await desk.poll()
    desk.simulator.sign_out("acme", "*")
    desk.simulator.patch("acme", ids(desk)[0], {}, without=NO_LINK)
    assert await desk.poll() == [("opened", "reconnection_required")]


async def test_a_missing_link_is_asked_for_once(tmp_path):
    async with station(tmp_path, accounts=1, create=True) as desk:
        await signed_out_without_link(desk)

        assert await desk.reconnector.reconnect() == "created"
        desk.poller.invalidate()
        assert await desk.poll(5) == []
        assert await desk.reconnector.reconnect() is None

        account = desk.store.run_now(lambda tx: state.account(tx, "acme", ids(desk)[0]))
        assert account.session.link is not None
        assert desk.calls("accounts.createReconnectionSession") == 1


async def test_create_never_asks_for_nothing(tmp_path):
    async with station(tmp_path, accounts=1, create=False) as desk:
        await signed_out_without_link(desk)

        assert await desk.reconnector.reconnect() is None


@pytest.mark.row(41)
@pytest.mark.parametrize("status", ["pending", "preparing", "serving", "streaming"])
async def test_a_session_that_may_be_in_use_is_never_replaced(tmp_path, status):
    async with station(tmp_path, accounts=1, create=True) as desk:
        await desk.poll()
        desk.simulator.sign_out("acme", "*")
        desk.simulator.set_session("acme", ids(desk)[0], status)
        desk.simulator.patch("acme", ids(desk)[0], {}, without=("reconnectionLink",))
        await desk.poll()

        assert await desk.reconnector.reconnect() == "kept"
        assert desk.calls("accounts.createReconnectionSession") == 0


@pytest.mark.row(39)
async def test_a_session_that_ended_or_is_forgotten_is_replaced(tmp_path):
    async with station(tmp_path, accounts=1, create=True) as desk:
        await desk.poll()
        desk.simulator.sign_out("acme", "*")
        gone = {"reconnectionSessionId": "00000000-0000-4000-8000-000000000000"}
        desk.simulator.patch("acme", ids(desk)[0], gone, without=("reconnectionLink",))
        await desk.poll()

        assert await desk.reconnector.reconnect() == "created"


@pytest.mark.row(40)
async def test_an_account_that_recovered_meanwhile_is_a_harmless_race(tmp_path):
    async with station(tmp_path, accounts=1, create=True) as desk:
        await signed_out_without_link(desk)
        desk.simulator.recover("acme", "*")

        assert await desk.reconnector.reconnect() == "refused"


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
    async with station(tmp_path, accounts=1, create=True) as desk:
        await signed_out_without_link(desk)
        desk.simulator.faults.add(
            api_error(error, status=status, method="accounts.createReconnectionSession")
        )

        assert await desk.reconnector.reconnect() == outcome
        desk.poller.invalidate()
        await desk.poll(30)
        assert await desk.reconnector.reconnect() is None
        assert desk.calls("accounts.createReconnectionSession") == 1


@pytest.mark.row(40)
async def test_a_call_of_unknown_outcome_is_not_repeated(tmp_path):
    async with station(tmp_path, accounts=1, create=True) as desk:
        await signed_out_without_link(desk)
        desk.simulator.add_fault("reset", method="accounts.createReconnectionSession")

        assert await desk.reconnector.reconnect() == "unknown"
        desk.poller.invalidate()
        await desk.poll(30)
        assert await desk.reconnector.reconnect() is None


async def test_an_account_that_has_a_link_by_now_is_left_alone(tmp_path):
    async with station(tmp_path, accounts=1, create=True) as desk:
        await signed_out_without_link(desk)
        desk.simulator.clear_patch("acme", ids(desk)[0])
        await desk.poll()

        assert await desk.reconnector.reconnect() == "needless"
        assert desk.calls("accounts.createReconnectionSession") == 0


async def test_a_link_that_comes_after_recovery_is_not_kept(tmp_path):
    async with station(tmp_path, accounts=1, create=True) as desk:
        await signed_out_without_link(desk)
        desk.simulator.recover("acme", "*")
        await desk.poll()

        assert await desk.reconnector.reconnect() == "needless"
        account = desk.store.run_now(lambda tx: state.account(tx, "acme", ids(desk)[0]))
        assert account.session is None


@pytest.mark.parametrize("passing", ["rate limit", "our own share", "no connection"])
async def test_what_only_passes_is_asked_again_a_minute_later(tmp_path, passing):
    async with station(tmp_path, accounts=1, create=True) as desk:
        await signed_out_without_link(desk)
        create = {"method": "accounts.createReconnectionSession"}
        if passing == "rate limit":
            desk.simulator.faults.add(api_error("tooManyRequests", status=429, times=1, **create))
        elif passing == "our own share":
            while desk.source._budget.take(desk.seconds) == 0:
                pass
        else:
            desk.source._settings = LinkedApiSettings(base_url="http://127.0.0.1:9")

        assert await desk.reconnector.reconnect() == "later"
        desk.source._settings = LinkedApiSettings(base_url=desk.api)
        desk.poller.invalidate()
        await desk.poll(2)
        assert await desk.reconnector.reconnect() == "created"


async def test_a_call_whose_end_could_not_be_recorded_is_given_up_later(tmp_path):
    async with station(tmp_path, accounts=1, create=True) as desk:
        await signed_out_without_link(desk)
        desk.store.run_now(lambda tx: tx.exec_driver_sql("ALTER TABLE session RENAME TO gone"))
        with pytest.raises(StoreError):
            await desk.reconnector.reconnect()
        desk.store.run_now(lambda tx: tx.exec_driver_sql("ALTER TABLE gone RENAME TO session"))

        assert await desk.reconnector.reconnect() is None
        await desk.poll(70)
        assert await desk.reconnector.reconnect() == "created"


async def test_a_poll_that_could_not_be_recorded_is_not_counted_as_good(tmp_path):
    async with station(tmp_path, accounts=1) as desk:
        await desk.poll()
        desk.simulator.sign_out("acme", "*")
        desk.store.run_now(lambda tx: tx.exec_driver_sql("ALTER TABLE event RENAME TO gone"))

        with pytest.raises(StoreError):
            await desk.poll()

        assert 'linkedapi_polls_total{workspace="acme",outcome="ok"} 1' in desk.metric


async def test_only_what_was_looked_at_lately_is_current(tmp_path):
    async with station(tmp_path, accounts=1) as desk:
        assert not desk.poller.is_current()
        await desk.poll()
        assert desk.poller.is_current()
        desk.now += Duration.parse("8h")  # asleep
        assert not desk.poller.is_current()
        desk.simulator.faults.add(html_page(status=502))
        await desk.poll()
        assert desk.poller.is_current()  # known to fail


async def test_our_own_share_used_up_is_no_failure(tmp_path):
    async with station(tmp_path, accounts=1) as desk:
        await desk.poll()

        assert await desk.poll(100, after=Duration.parse("10ms")) == []

        assert 'linkedapi_workspace_up{workspace="acme"} 1' in desk.metric
        assert 'outcome="rate_limited"} 0' in desk.metric


async def test_an_event_that_nobody_would_hear_of_is_counted_and_said(tmp_path, capsys):
    async with station(tmp_path, accounts=1) as desk:
        nobody = Routing({"chat": True}, (Route(Match(causes=("unknown",)), ("chat",)),))
        desk.poller.rules = replace(desk.poller.rules, routing=nobody)
        await desk.poll()
        desk.simulator.sign_out("acme", "*")

        assert await desk.poll() == [("opened", "reconnection_required")]

        assert "linkedapi_events_unrouted_total 1\n" in desk.metric
        assert "nobody is told" in capsys.readouterr().out


async def test_once_asking_is_switched_off_recorded_intents_are_dropped(tmp_path):
    async with station(tmp_path, accounts=1, create=True) as desk:
        await signed_out_without_link(desk)
        desk.reconnector._create = False

        assert await desk.reconnector.reconnect() == "needless"
        assert desk.calls("accounts.createReconnectionSession") == 0


async def test_blindness_is_told_in_time_although_polls_are_paused(tmp_path):
    async with station(tmp_path, accounts=1) as desk:
        await desk.poll()
        headers = {"retry-after": "900"}
        desk.simulator.faults.add(Fault(status=503, headers=headers, body=b""))

        told = await desk.poll(7)

        assert told == [("opened", "unreachable")]
        assert desk.calls() == 2


# ── another configuration ────────────────────────────────────────────────────────────────────────


def ignoring(*names):
    roster = Roster({"acme": {}}, [Rule(names=names, ignore=True)])
    return Routing({"chat": True}, roster=roster)


def reload(desk, *, source=None, **changes):
    rules = replace(desk.poller.rules, **changes)
    desk.poller.reload(rules, source or desk.source, desk.token.changed)


def another_source(desk, token=TOKEN):
    return LinkedApi(
        http=desk.source._http,
        token=Token(Secret(token)),
        settings=LinkedApiSettings(base_url=desk.api),
        link_origins=("https://app.linkedapi.io",),
        observe=desk.metrics.requested,
        monotonic=lambda: desk.seconds,
        version="0",
    )


def names(desk):
    workspace = desk.store.run_now(lambda tx: state.load(tx, "acme"))
    return [one.name for one in workspace.accounts.values()]


async def test_an_ignored_account_is_never_heard_of(tmp_path):
    async with station(tmp_path, accounts=3) as desk:
        desk.simulator.patch("acme", ids(desk)[0], {"name": "Test one"})
        reload(desk, routing=ignoring("Test *"))
        await desk.poll()
        desk.simulator.sign_out("acme", ids(desk)[0])

        assert await desk.poll(3) == []

        assert len(names(desk)) == 2
        assert "Test one" not in desk.metric


async def test_a_reload_that_ignores_an_account_ends_its_incident_with_the_next_poll(tmp_path):
    async with station(tmp_path, accounts=3) as desk:
        desk.simulator.patch("acme", ids(desk)[0], {"name": "Test one"})
        await desk.poll()
        desk.simulator.sign_out("acme", ids(desk)[0])
        await desk.poll(2)

        reload(desk, routing=ignoring("Test *"))

        assert await desk.poll(3) == [("resolved", "reconnection_required")]
        assert len(names(desk)) == 2
        assert "Test one" not in desk.metric
        reload(desk, routing=ignoring("Nobody"))
        assert await desk.poll(3) == [("opened", "reconnection_required")]


async def test_a_new_name_alone_makes_an_account_ignored(tmp_path):
    async with station(tmp_path, accounts=3) as desk:
        reload(desk, routing=ignoring("Test *"))
        await desk.poll(2)

        desk.simulator.patch("acme", ids(desk)[0], {"name": "Test one"})

        assert await desk.poll(2) == []
        assert len(names(desk)) == 2
        assert 'linkedapi_accounts{workspace="acme",status="active"} 2' in desk.metric


async def test_if_everything_is_ignored_the_workspace_is_still_up(tmp_path):
    async with station(tmp_path, accounts=3) as desk:
        await desk.poll()

        reload(desk, routing=ignoring("*"))

        assert await desk.poll(30) == []
        assert names(desk) == []
        assert 'linkedapi_workspace_up{workspace="acme"} 1' in desk.metric


async def test_a_reload_compares_every_account_anew(tmp_path):
    async with station(tmp_path, accounts=2, open_after=1) as desk:
        await desk.poll()
        desk.simulator.sign_out("acme", "*")
        desk.simulator.patch("acme", ids(desk)[0], {}, without=NO_LINK)
        await desk.poll(2)
        assert await desk.reconnector.reconnect() is None

        reload(desk, create=True)
        desk.reconnector.reload(desk.routing, desk.source, create=True)
        await desk.poll()

        assert await desk.reconnector.reconnect() == "created"


async def test_a_reload_while_the_list_is_fetched_settles_nothing(tmp_path):
    async with station(tmp_path, accounts=2) as desk:
        await desk.poll()
        desk.simulator.patch("acme", ids(desk)[0], {"name": "Test one"})
        original, begun, go = desk.store.run, asyncio.Event(), asyncio.Event()

        async def held(work):
            begun.set()
            await go.wait()
            return await original(work)

        desk.store.run = held
        polling = asyncio.create_task(desk.poll())
        await asyncio.wait_for(begun.wait(), 10)
        reload(desk, routing=ignoring("Test *"))
        desk.store.run = original
        go.set()

        assert await asyncio.wait_for(polling, 10) == []
        assert len(names(desk)) == 2  # it was compared under the old rules
        await desk.poll()
        assert len(names(desk)) == 1


async def test_another_client_ends_the_pause_of_a_rejected_token(tmp_path):
    async with station(tmp_path, accounts=1) as desk:
        await desk.poll()
        desk.simulator.set_token("acme", "linked_other")
        await desk.poll(5)
        desk.simulator.set_token("acme", "linked_rotated")
        calls = desk.calls()

        reload(desk, source=another_source(desk, "linked_rotated"))

        assert await desk.poll() == [("resolved", "token_rejected")]
        assert desk.calls() == calls + 1


async def test_a_refusal_of_the_old_token_does_not_hold_up_the_new_one(tmp_path):
    async with station(tmp_path, accounts=1) as desk:
        await desk.poll()
        desk.simulator.set_token("acme", "linked_rotated")
        await desk.poll(5)
        desk.seconds += 3600
        desk.simulator.faults.add(Fault(kind="delay", delay=0.3, times=1))
        calls = len(desk.simulator.requests)
        polling = asyncio.create_task(desk.poll())
        await until(lambda: len(desk.simulator.requests) > calls)

        reload(desk, source=another_source(desk, "linked_rotated"))
        await polling

        calls = desk.calls()
        await desk.poll()
        assert desk.calls() == calls + 1
        assert desk.poller.is_current()


async def test_a_pause_stays_if_the_client_does(tmp_path):
    async with station(tmp_path, accounts=1) as desk:
        await desk.poll()
        desk.simulator.faults.add(Fault(status=429, headers={"retry-after": "600"}, body=b""))
        await desk.poll()
        calls = desk.calls()

        reload(desk, create=False)
        await desk.poll(5)

        assert desk.calls() == calls


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
    async with station(tmp_path, accounts=1) as desk:
        reload(desk, next_due=PollSettings(cron=cron).next_due)
        await desk.poll()

        desk.now += Duration.parse(hours)

        assert desk.poller.is_current() is current


async def test_a_night_between_two_polls_is_no_reason_to_doubt(tmp_path):
    async with station(tmp_path, accounts=1) as desk:
        reload(desk, next_due=PollSettings(cron="*/5 8-20 * * mon-fri").next_due)
        friday = Duration.parse("6294m")
        await desk.poll(after=friday)  # at 20:54, so the next is due at 20:55, then on Monday at 8

        desk.now += Duration.parse("59h")
        assert desk.poller.is_current()
        desk.now += Duration.parse("3h")
        assert not desk.poller.is_current()

"""Polls by another configuration than before: other rules, other accounts, another token."""

import asyncio
from functools import partial

import pytest
from harness.core import acceptance, make_routing
from harness.leases import REPLICA
from harness.poll import TOKEN, poll_harness
from harness.program import until

from monitor.core.inventory import AccountMatch, AccountRule, Inventory
from monitor.core.secret import Secret
from monitor.simulator import Fault
from monitor.store import personal_data, workspaces

OPENED = ("opened", "reconnection_required")
RESOLVED = ("resolved", "reconnection_required")


def ignoring(name):
    inventory = Inventory({"acme": {}}, [AccountRule(AccountMatch(names=(name,)), ignore=True)])
    return make_routing({"chat": True}, inventory=inventory)


async def test_an_ignored_account_is_never_heard_of(tmp_path):
    async with poll_harness(tmp_path, accounts=3) as harness:
        harness.simulator.rename("acme", "a1", "Test one")
        harness.reload(routing=ignoring("Test *"))
        await harness.poll()
        harness.simulator.sign_out("acme", "a1")

        assert await harness.poll(3) == []

        assert set(harness.recorded().accounts) == {"a2", "a3"}
        assert "Test one" not in harness.exposition


async def test_a_reload_that_ignores_an_account_ends_its_incident_with_the_next_poll(harness):
    harness.simulator.rename("acme", "a1", "Test one")
    harness.simulator.sign_out("acme", "a1")
    await harness.poll(2)

    harness.reload(routing=ignoring("Test *"))

    assert await harness.poll(3) == [RESOLVED]
    assert set(harness.recorded().accounts) == {"a2", "a3"}
    assert "Test one" not in harness.exposition
    harness.reload(routing=ignoring("Nobody"))
    assert await harness.poll(3) == [OPENED]


@pytest.mark.case("only account of a workspace removed")
async def test_an_ignored_account_proves_whose_list_it_is_after_a_restart_too(tmp_path):
    async with poll_harness(tmp_path, accounts=4) as harness:
        harness.simulator.rename("acme", "a1", "Test one")
        harness.reload(routing=ignoring("Test *"))
        await harness.poll()
        for id_ in ("a2", "a3", "a4"):
            harness.simulator.remove("acme", id_)
        harness.take()

        assert await harness.poll(10) == [("notice", "disappeared")] * 3


async def test_the_token_that_was_last_good_is_noted_though_there_is_no_news(tmp_path):
    file = tmp_path / "token"
    file.write_text(TOKEN)
    async with poll_harness(tmp_path, token=file) as harness:
        await harness.poll()
        before = harness.recorded().fingerprint
        harness.simulator.set_token("acme", "linked_rotated")
        file.write_text("linked_rotated")

        await harness.poll()

        after = harness.recorded().fingerprint
        assert (after.salt, after.token == before.token) == (before.salt, False)


@pytest.mark.case("new name matches other rules")
async def test_a_new_name_alone_makes_no_account_ignored_after_a_restart_neither(harness):
    harness.reload(routing=ignoring("Test *"))
    harness.simulator.sign_out("acme", "a1")
    await harness.poll()
    harness.take()

    harness.simulator.rename("acme", "a1", "Test one")

    assert await harness.poll(3) == [("notice", "rules_changed")]
    assert set(harness.recorded().accounts) == {"a1", "a2", "a3"}
    harness.take()
    assert await harness.poll(3) == []


@pytest.mark.case("new name matches other rules")
async def test_a_new_name_alone_lets_no_ignored_account_be_watched_after_a_restart_neither(harness):
    harness.simulator.rename("acme", "a1", "Test one")
    harness.reload(routing=ignoring("Test *"))
    await harness.poll()
    harness.take()
    await harness.poll(2)

    harness.simulator.rename("acme", "a1", "Somebody")

    assert await harness.poll(3) == [("notice", "rules_changed")]
    harness.take()
    assert await harness.poll(3) == []
    assert set(harness.recorded().accounts) == {"a2", "a3"}


@pytest.mark.case("new name matches other rules")
async def test_a_name_counts_if_the_rules_changed_while_no_monitor_ran(harness):
    harness.reload(routing=ignoring("Test *"))
    await harness.poll()
    harness.simulator.rename("acme", "a1", "Demo one")

    harness.reload(routing=ignoring("Demo *"))
    harness.take()

    assert await harness.poll(2) == []
    assert set(harness.recorded().accounts) == {"a2", "a3"}


async def test_a_quiet_poll_writes_nothing_whoever_was_renamed(harness):
    harness.simulator.rename("acme", "a1", "Test one")
    harness.reload(routing=ignoring("Test *"))
    await harness.poll()
    harness.simulator.rename("acme", "a1", "Somebody")
    harness.simulator.rename("acme", "a2", "Test two")
    assert await harness.poll() == [("notice", "rules_changed")] * 2
    await harness.poll()
    harness.poller.expect(9)  # of a database that was restored since
    await harness.poll()
    recorded = []
    harness.poller._record = lambda *_, **__: recorded.append(True)

    await harness.poll(3)

    assert recorded == []


@pytest.mark.case("new name matches other rules")
async def test_what_a_person_accepted_counts_with_the_next_poll_news_or_not(harness):
    harness.reload(routing=ignoring("Test *"))
    harness.simulator.sign_out("acme", "a1")
    await harness.poll()
    harness.simulator.rename("acme", "a1", "Test one")
    await harness.poll(2)

    harness.store.run_now(lambda tx: workspaces.accept_account(tx, acceptance("a1")))

    versions = harness.store.run_now(partial(workspaces.load_versions, replica=REPLICA))
    assert harness.poller.expect(versions["acme"])
    assert not harness.poller.expect(versions["acme"])
    assert await harness.poll(2) == [RESOLVED]
    assert set(harness.recorded().accounts) == {"a2", "a3"}


async def test_who_was_erased_is_not_written_again_by_what_a_poller_remembers(harness):
    await harness.poll()
    harness.simulator.rename("acme", "a1", "Zebulon Quagga")
    await harness.poll()
    harness.simulator.remove("acme", "a1")
    await harness.poll(4)

    def erase(tx):
        (account,) = personal_data.candidates(tx, "a1")
        personal_data.erase(tx, account, salt="salt", now=harness.now)

    harness.store.run_now(erase)
    harness.reload(routing=ignoring("Nobody"))  # all are matched anew, those that left, too
    await harness.poll(2)

    recorded = harness.store.run_now(lambda tx: workspaces.load(tx, "acme"))
    assert [account.name for account in recorded.removed.values()] == [""]


async def test_if_everything_is_ignored_the_workspace_is_still_up(harness):
    harness.reload(routing=ignoring("*"))

    assert await harness.poll(30) == []
    assert harness.recorded().accounts == {}
    assert 'linkedapi_workspace_up{workspace="acme"} 1' in harness.exposition


async def test_a_reload_compares_every_account_anew(harness):
    harness.simulator.sign_out("acme", "a1")
    harness.simulator.patch("acme", "a1", without=("reconnectionLink", "reconnectionSessionId"))
    await harness.poll(2)
    assert await harness.reconnector.reconnect() is None

    harness.reload(create=True)
    harness.reconnector.create = True
    await harness.poll()

    assert await harness.reconnector.reconnect() == "created"


async def test_after_a_reload_while_the_list_is_fetched_every_account_is_compared_anew(harness):
    harness.simulator.rename("acme", "a1", "Test one")
    run, begun, go = harness.store.run, asyncio.Event(), asyncio.Event()

    async def held(work, **options):
        begun.set()
        await go.wait()
        return await run(work, **options)

    harness.store.run = held
    polling = asyncio.create_task(harness.poll())
    await asyncio.wait_for(begun.wait(), 10)
    harness.reload(routing=ignoring("Test *"))
    harness.store.run = run
    go.set()

    assert await asyncio.wait_for(polling, 10) == []
    assert set(harness.recorded().accounts) == {"a1", "a2", "a3"}  # compared under the old rules
    await harness.poll()
    assert set(harness.recorded().accounts) == {"a2", "a3"}


async def test_another_client_ends_the_pause_of_a_rejected_token(harness):
    harness.simulator.set_token("acme", "linked_rotated")
    await harness.poll(5)
    calls = harness.calls()

    harness.reload(source=harness.make_source(Secret("linked_rotated")))

    assert await harness.poll() == [("resolved", "token_rejected")]
    assert harness.calls() == calls + 1


async def test_a_refusal_of_the_old_token_does_not_hold_up_the_new_one(harness):
    harness.simulator.set_token("acme", "linked_rotated")
    await harness.poll(5)
    harness.seconds += 3600
    harness.simulator.faults.add(Fault(kind="delay", delay=0.3, times=1))
    requests = len(harness.simulator.requests)
    polling = asyncio.create_task(harness.poll())
    await until(lambda: len(harness.simulator.requests) > requests)

    harness.reload(source=harness.make_source(Secret("linked_rotated")))
    await polling

    calls = harness.calls()
    await harness.poll()
    assert harness.calls() == calls + 1
    assert harness.is_fresh()

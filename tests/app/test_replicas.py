"""What monitors that share a database make of each other's configurations."""

import pytest
from harness.program import until
from harness.running_app import select

from monitor.core.duration import Duration
from monitor.store.db import StoreError


async def die(replica):
    """Let a monitor do nothing more, so that its lease lapses."""
    await replica.workers.stop_polls()


async def pass_time(replica, seconds=31):
    """Let time pass for a monitor, which goes on watching who else lives."""
    for _ in range(round(seconds)):
        replica.seconds += 1
        replica.now += Duration.parse("1s")
        await replica.lease.keep()
        await replica.balance()


async def test_who_is_left_alone_watches_what_a_newer_configuration_had_left_out(replicas):
    older, newer = replicas
    await older.apply("acme", "beta")
    await newer.apply("acme")
    await older.balance()
    assert older.workers.workspaces.keys() | newer.workers.workspaces.keys() == {"acme"}
    assert (await older.row("beta"))[1] is not None

    await die(newer)
    await pass_time(older)

    assert older.workers.workspaces.keys() == {"acme", "beta"}
    assert (await older.row("beta"))[1] is None


async def test_a_rename_reaches_who_holds_the_workspace_under_its_former_name(replicas):
    former, renaming = replicas
    await former.apply("acme")
    await renaming.apply(better={"token": "linked_acme", "renamed_from": "acme"})

    await former.balance()
    await renaming.balance()

    assert not former.workers.workspaces
    assert renaming.workers.workspaces.keys() == {"better"}


async def test_a_reload_that_fails_leaves_others_what_their_newer_configuration_has(replicas):
    older, newer = replicas
    await older.apply("acme")
    await newer.apply("acme", "beta")
    await older.execute("ALTER TABLE workspace ADD CONSTRAINT no_gamma CHECK (name <> 'gamma')")
    try:
        with pytest.raises(StoreError, match="no_gamma"):
            await older.apply("acme", "gamma")
    finally:
        await older.execute("ALTER TABLE workspace DROP CONSTRAINT no_gamma")

    for replica in (older, newer):
        await replica.balance()
    assert (await newer.row("beta"))[1] is None
    assert newer.workers.workspaces.keys() | older.workers.workspaces.keys() == {"acme", "beta"}


async def test_the_fallback_hears_of_what_a_dead_monitor_had_for_who_has_to_be_mended(replicas):
    dead, heir = replicas
    chat = f"{{name: chat, type: slack, url: '{dead.hook_url}/gone'}}"
    more = f"receivers: [{chat}, {dead.crm()}]\nroutes: [{{to: [chat]}}]\nfallback: crm"
    await dead.apply("acme", "beta", more=more)
    await dead.workers.stop_workspaces(["beta"])
    await dead.holdings._release({"beta": 1}, {})
    await heir.apply("acme", "beta", more=more)
    assert heir.workers.workspaces.keys() == {"beta"}
    await dead.workers.stop_polls()  # before it delivers
    await dead.sign_out("acme")
    heir.now = dead.now
    await heir.sign_out("beta")
    copies = select("SELECT workspace FROM notification WHERE receiver = 'crm' ORDER BY workspace")
    await until(lambda: heir.store.read_now(copies) == ["beta"] * 2)

    await pass_time(heir)

    await until(lambda: heir.store.read_now(copies) == ["acme"] * 2 + ["beta"] * 2)


async def test_what_a_dead_monitor_had_of_who_left_leaves_by_who_takes_it_over(replicas):
    dead, heir = replicas
    more = f"receivers: [{dead.crm()}]"
    await dead.apply("acme", more=more)
    await dead.workers.stop_polls()  # before it delivers
    await dead.sign_out("acme")
    heir.now = dead.now
    await heir.apply("beta", more=more)
    await until(lambda: heir.workers.receivers["crm"]._woken._waiters)

    await pass_time(heir)

    assert heir.holdings.holds_all
    await dead.hook.wait(lambda: len(dead.hook.events) == 2, within=10)


async def test_who_has_the_newest_configuration_does_what_is_of_all_workspaces(replicas):
    older, newer = replicas
    await older.apply("acme", "beta")
    assert older.holdings.holds_all
    await newer.apply("acme")

    for replica in (older, newer):
        await replica.balance()

    assert (older.holdings.holds_all, newer.holdings.holds_all) == (False, True)

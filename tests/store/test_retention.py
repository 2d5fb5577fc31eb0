"""What ended long ago is deleted, and nothing else."""

from itertools import pairwise

from harness.core import HOUR, frozen, listed_account, signed_out
from harness.store import DAY, StoreHarness

from monitor.core.model import IntentOutcome
from monitor.store import accounts, listings, retention, session_intents
from monitor.store.session_intents import SessionIntent


def test_what_ended_long_ago_is_deleted_and_the_rest_is_kept(harness):
    harness.poll(signed_out("a"), frozen("b"), listed_account("c"), listed_account("d"))
    harness.deliver()
    for _ in range(3):
        harness.poll(listed_account("a"), frozen("b"), listed_account("c"))
    while harness.deliver():
        pass
    harness.poll(listed_account("a"), frozen("b"), listed_account("c"), after=DAY)

    harness.run(lambda tx: retention.prune(tx, harness.now - HOUR))

    incidents = harness.run(lambda tx: listings.incidents(tx, ended=True, limit=9))
    assert [incident["account_id"] for incident in incidents] == ["b"]
    assert harness.run(lambda tx: accounts.load(tx, "acme", "d")) is None
    assert harness.states() == []
    assert harness.column("SELECT account_id FROM event") == ["b"]
    harness.poll(listed_account("a"), listed_account("b"), listed_account("c"))
    assert harness.deliver() == [("resolved", "b")]


def test_what_ended_this_very_moment_is_kept(harness):
    harness.poll(signed_out())
    harness.deliver()
    harness.poll(listed_account())
    harness.deliver()

    harness.run(lambda tx: retention.prune(tx, harness.now))

    assert len(harness.column("SELECT id FROM incident")) == 1
    assert harness.column("SELECT after FROM transition") == ["active"]
    assert harness.column("SELECT type FROM event") == ["resolved"]
    assert harness.states() == [("slack", "resolved", "delivered", None)]


def test_what_is_still_queued_is_never_deleted(harness):
    harness.poll(signed_out())

    harness.run(lambda tx: retention.prune(tx, harness.now + DAY))

    assert harness.deliver() == [("opened", "a1")]


WATCHED_ONCE = "SELECT name FROM workspace WHERE name <> '*' ORDER BY name"


def test_a_workspace_that_ended_long_ago_is_deleted(harness):
    harness.poll()
    harness.attach("here")
    harness.detach("here")

    harness.run(lambda tx: retention.prune(tx, harness.now))
    assert harness.column(WATCHED_ONCE) == ["acme", "here"]
    harness.run(lambda tx: retention.prune(tx, harness.now + 1))
    assert harness.column(WATCHED_ONCE) == ["here"]


def test_a_workspace_with_accounts_is_not_deleted_before_they_are(harness):
    harness.poll(signed_out())
    harness.detach()

    harness.run(lambda tx: retention.prune(tx, harness.now + DAY))

    assert harness.column(WATCHED_ONCE) == ["acme"]


def rows(harness):
    """How many rows there are in all tables."""
    return sum(map(len, harness.everything().values()))


def test_however_much_ended_no_transaction_deletes_more_than_a_portion(harness):
    ids = [f"a{number}" for number in range(300)]
    harness.poll(*map(signed_out, ids))
    harness.deliver_all()
    harness.poll(*map(listed_account, ids))
    harness.deliver_all()
    harness.now += 1

    counts = [rows(harness)]
    while harness.run(lambda tx: retention.prune(tx, harness.now)):
        counts.append(rows(harness))
    counts.append(rows(harness))

    assert all(0 <= before - after <= 500 for before, after in pairwise(counts))
    left = {table for table, rows in harness.everything().items() if rows}
    assert left == {"workspace", "account", "receiver", "replica"}


def test_what_came_of_a_session_that_was_asked_for_is_deleted_but_not_what_is_still_wanted(store):
    harness = StoreHarness(store)
    old = [SessionIntent(id_, "acme", id_, "i1") for id_ in ("ended", "wanted")]
    harness.run(lambda tx: session_intents.add(tx, old, cooldown=HOUR, now=harness.now))
    ended = harness.run(lambda tx: session_intents.claim(tx, "acme"))
    harness.run(lambda tx: session_intents.finish(tx, ended, IntentOutcome.CREATED))

    harness.run(lambda tx: retention.prune(tx, harness.now + DAY))

    assert ended.id == "ended"
    assert harness.column("SELECT id FROM session_intent") == ["wanted"]

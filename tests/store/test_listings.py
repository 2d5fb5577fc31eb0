"""What people ask the database, as rows ready to print."""

from harness.core import HOUR, LINK, NOON, REJECTED, listed_account, signed_out
from harness.leases import REPLICA, live
from harness.store import REFUSED, TIMEOUT

from monitor.store import leases, listings


def test_accounts_are_listed_with_the_bad_ones_first(harness):
    harness.poll(listed_account("a"), signed_out("b"))

    rows = harness.run(listings.accounts)

    assert [(row["id"], row["status"], row["link"]) for row in rows] == [
        ("b", "reconnection_required", LINK),
        ("a", "active", None),
    ]


def test_a_workspaces_incident_is_listed_too(harness):
    harness.observe(REJECTED)
    harness.observe(REJECTED)

    (row,) = harness.run(lambda tx: listings.incidents(tx, ended=False, limit=9))

    assert (row["scope"], row["cause"], row["account_id"]) == ("workspace", "token_rejected", None)


def test_incidents_are_listed_newest_first_and_behind_them_those_that_ended(harness):
    harness.poll(signed_out("a"))
    harness.poll(signed_out("a"), signed_out("b"))
    harness.poll(signed_out("a"), signed_out("b"), signed_out("c"))
    harness.poll(signed_out("a"), listed_account("b"), listed_account("c"))
    harness.poll(signed_out("a"), listed_account("b"), listed_account("c"), signed_out("d"))

    def listed(**which):
        rows = harness.run(lambda tx: listings.incidents(tx, **which))
        return [row["account_id"] for row in rows]

    assert listed(ended=False, limit=9) == ["d", "a"]
    assert listed(ended=False, limit=1) == ["d"]
    assert listed(ended=True, limit=9) == ["d", "a", "c", "b"]
    assert listed(ended=True, limit=3) == ["d", "a", "c"]
    assert listed(ended=True, limit=1) == ["d"]


def test_a_workspace_is_listed_with_who_holds_it_since_when(harness):
    harness.poll(listed_account())
    harness.run(lambda tx: live(tx, "other"))

    (held,) = harness.run(listings.workspaces)
    harness.run(lambda tx: leases.leave(tx, REPLICA))
    (free,) = harness.run(listings.workspaces)

    assert (held["holder"], held["held_since"]) == (f"host-{REPLICA}", NOON)
    assert (free["holder"], free["held_since"]) == (None, None)
    assert held["name"] == free["name"] == "acme", "'*' is none that anybody would look for"


def test_deliveries_are_listed_newest_first(harness):
    harness.poll(signed_out())
    (row,) = harness.run(lambda tx: listings.deliveries(tx, limit=9))
    assert (row["event"], row["state"]) == ("opened", "pending"), "nothing was ever sent there"
    harness.deliver()
    harness.poll(listed_account())

    rows = harness.run(lambda tx: listings.deliveries(tx, limit=9))

    assert [(row["event"], row["state"]) for row in rows] == [
        ("resolved", "pending"),
        ("opened", "delivered"),
    ]


def test_a_delivery_is_listed_once_with_the_last_answer_to_its_own_message(harness):
    harness.poll(signed_out("a"))
    harness.deliver(error=REFUSED)
    harness.deliver(error=TIMEOUT, after=HOUR)
    harness.poll(signed_out("a"), signed_out("b"), after=0)

    rows = harness.run(lambda tx: listings.deliveries(tx, limit=9))

    assert [row["last_answer"] for row in rows] == [None, str(TIMEOUT)]

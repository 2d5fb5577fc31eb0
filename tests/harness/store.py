"""Commits polls to a real database the way the poller does, and delivers."""

import tempfile
from contextlib import closing
from dataclasses import replace
from functools import cache
from graphlib import TopologicalSorter
from itertools import count
from pathlib import Path

from sqlalchemy import inspect, text

from harness.core import MINUTE, NOON, make_routing, make_rules
from harness.leases import REPLICA, hold, live, sender
from monitor.core.diff import diff
from monitor.core.duration import Duration
from monitor.core.errors import AttemptReason, DeliveryError, Remedy
from monitor.core.fingerprint import make_fingerprint
from monitor.core.inventory import Inventory
from monitor.core.model import Snapshot
from monitor.core.policy import IncidentPolicy
from monitor.core.receipt import Receipt
from monitor.core.route import Receiver
from monitor.core.secret import Secret
from monitor.store import attempts, claims, leases, looks, outbox, workspaces
from monitor.store.attempts import Attempt
from monitor.store.db import Store
from monitor.work.poll import commit

LEASE = Duration.parse("25s")
DAY = Duration.parse("24h")

TIMEOUT = DeliveryError("no answer", reason=AttemptReason.TIMEOUT, ambiguous=True)
REFUSED = DeliveryError("HTTP 500", reason=AttemptReason.SERVER)
GONE = DeliveryError("HTTP 404", reason=AttemptReason.CLIENT, remedy=Remedy.MEND)
WRONG = DeliveryError("HTTP 400", reason=AttemptReason.CLIENT, remedy=Remedy.DROP)
LATER = DeliveryError("refused: 1 for now", reason=AttemptReason.SERVER)
PARTLY = Receipt(accepted=("ops",), failure=LATER)
"""One of several addresses took it, the others are to be tried again."""

WAITING_FOR = text("""
SELECT DISTINCT mine.message_id AS message, earlier.message_id AS other
FROM notification AS mine JOIN notification AS earlier
    ON earlier.receiver = mine.receiver AND earlier.address = mine.address
    AND earlier.workspace = mine.workspace AND earlier.subject = mine.subject
    AND earlier.message_id <> mine.message_id
JOIN message ON message.id = mine.message_id
JOIN message AS before ON before.id = earlier.message_id AND before.done IS NULL
WHERE mine.settled_at IS NULL AND earlier.settled_at IS NULL
    AND (before.position < message.position
        OR before.position = message.position AND before.part < message.part)
""")


def who_waits(tx):
    """Return for which messages each message waits."""
    graph = {}
    for row in tx.execute(WAITING_FOR):
        graph.setdefault(row.message, set()).add(row.other)
    return graph


@cache
def _sqlite_tables():
    """A file of SQLite with the monitor's tables, as the monitor makes it."""
    with tempfile.TemporaryDirectory() as folder:
        Store.open(f"sqlite:///{folder}/monitor.db").close()
        return Path(folder, "monitor.db").read_bytes()


def open_store(url, store_type=Store):
    """Open a store; with SQLite new tables are a copy, and nothing waits for the disk."""
    if not url.startswith("sqlite:///"):
        return store_type.open(url)
    file = Path(url.removeprefix("sqlite:///"))
    if not file.exists():
        file.touch(mode=0o600)
        file.write_bytes(_sqlite_tables())
    store = store_type.open(url)
    for access in (store._writing, store._reading):
        with closing(access._databases[0].engine.raw_connection()) as connection:
            connection.driver_connection.execute("PRAGMA synchronous = OFF")
    return store


class StoreHarness:
    """Commits polls of the workspace `acme` and delivers to `slack` (groups) and `hook`."""

    def __init__(self, store, *, create=False, fallback=None, receivers=None, **policy):
        self.store = store
        self.now = NOON
        self.seconds = 0.0
        self.ids = map("{:04d}".format, count(1))
        self.fallback = fallback
        self.process = "monitor"
        self.subscription = None  # as it is asked with each poll
        self.replica, self.silent = REPLICA, {}
        routes = make_routing(receivers or {"slack": True}, fallback=fallback)
        rules = make_rules(IncidentPolicy(**policy), routes, create=create)
        self.rules = replace(rules, next_due=lambda at: at + DAY)
        self.run(live)
        self.attach()

    def run(self, work):
        return self.store.run_now(work)

    def new_id(self):
        return next(self.ids)

    def attach(self, name="acme"):
        """Attach the workspace *name*, take it from the silent, and go on with it."""
        self.inventory = Inventory({name: {}})
        self.workspace, self.term = self.run(
            lambda tx: hold(tx, name, replica=self.replica, silent=self.silent, now=self.now)
        )

    def follow(self, replica):
        """Go on as *replica*, which lives; the one of before has fallen silent."""
        self.silent = self.run(lambda tx: leases.seen(leases.replicas(tx)))
        self.replica = replica
        self.run(lambda tx: live(tx, replica, self.now))

    def forget_look(self):
        """Let nothing that is recorded count as known until the next good poll."""
        statement = text("UPDATE workspace SET fresh_until = NULL")
        self.run(lambda tx: tx.execute(statement))

    def detach(self, *watched):
        """Detach all workspaces but these."""

        def detach(tx):
            detached = workspaces.detach(tx, watched, self.now)
            for name in detached:
                looks.release(tx, name, now=self.now)
            return detached

        return self.run(detach)

    def poll(self, *accounts, after=MINUTE, ignored=()):
        snapshot = Snapshot(accounts)
        rules = repr(sorted(ignored))
        changes = diff(
            self.workspace,
            snapshot,
            ignores=lambda account: account.id in ignored,
            rules=rules,
        )
        fingerprint = make_fingerprint("salt", Secret("linked_acme"), changes.ignored, rules)
        return self.observe(replace(changes, fingerprint=fingerprint), after=after)

    def observe(self, changes, after=MINUTE):
        self.now += after
        recorded = self.run(
            lambda tx: commit(
                tx,
                self.workspace,
                changes,
                term=self.term,
                rules=self.rules,
                scheduled=True,
                now=self.now,
                new_id=self.new_id,
                subscription=self.subscription,
                asks_subscription=True,
            )
        )
        self.workspace = recorded.decision.workspace
        return recorded

    def receiver(self, name):
        return self.rules.routing.receivers.get(name, Receiver(name))

    def claim(self, name="slack", *, after=0):
        self.now += after
        return self.run(
            lambda tx: claims.claim(
                tx,
                self.receiver(name),
                sender(self.process, self.replica),
                inventory=self.inventory,
                now=self.now,
                lease=LEASE,
                new_id=self.new_id,
            )
        )

    def settle(self, claimed, error=None, post=None):
        """Settle an attempt; return what came to an end, or None if it was sent again since.

        *error* may also be the receipt of a message that not all of its addresses took.
        """
        attempt = Attempt(error or Receipt(), Duration(0), "title", post)
        settled = self.run(
            lambda tx: attempts.settle(
                tx,
                self.replica,
                claimed,
                attempt,
                now=self.now,
                deadline=DAY,
                jitter=1.0,
                fallback=self.receiver(self.fallback) if self.fallback else None,
                new_id=self.new_id,
            )
        )
        return settled and list(settled.ended)

    def deliver(self, name="slack", error=None, *, after=0):
        """Deliver the next message; return what was told as [(event, account id)], or None."""
        claimed = self.claim(name, after=after)
        if claimed.message is None:
            return None
        self.settle(claimed, error)
        return [
            (str(notification.event), notification.account and notification.account.id)
            for notification in claimed.message.notifications
        ]

    def deliver_all(self, name="slack"):
        """Deliver every message; return what was told by each."""
        return list(iter(lambda: self.deliver(name), None))

    def heard(self):
        """Return the receivers that heard of each incident."""
        incidents = self.column("SELECT id FROM incident")
        audiences = self.run(lambda tx: outbox.audiences(tx, incidents))
        return [
            sorted(recipient.receiver for recipient in audience.heard)
            for audience in audiences.values()
        ]

    def check_that_nobody_waits_in_a_circle(self):
        """Return who waits for whom, as the tables have it; a circle is a CycleError."""
        waiting = self.run(who_waits)
        TopologicalSorter(waiting).prepare()
        return waiting

    def column(self, query):
        return self.run(lambda tx: tx.execute(text(query)).scalars().all())

    def states(self):
        """Every notification as (receiver, event, state, reason), in the order of queueing."""
        query = text("SELECT receiver, event, state, reason FROM notification ORDER BY position")
        return self.run(lambda tx: list(map(tuple, tx.execute(query))))

    def everything(self):
        """Every row of every table but `migration`, by table."""

        def read(tx):
            tables = set(inspect(tx).get_table_names()) - {"migration"}
            rows = {name: tx.execute(text(f"SELECT * FROM {name}")).mappings() for name in tables}
            return {name: sorted(map(repr, rows[name])) for name in tables}

        return self.run(read)

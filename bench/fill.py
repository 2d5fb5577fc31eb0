"""Long queues, written in bulk: copies of what the monitor itself makes of one account."""

import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

from sqlalchemy import Connection, inspect, text

from monitor.config.settings import PollSettings
from monitor.core.diff import diff
from monitor.core.duration import Duration
from monitor.core.fingerprint import make_fingerprint
from monitor.core.model import ListedAccount, Micros, Snapshot, Status, Workspace
from monitor.core.policy import Flapping, IncidentPolicy
from monitor.core.route import Receiver, Routing
from monitor.core.secret import Secret
from monitor.store import workspaces
from monitor.store.db import Store
from monitor.store.rows import insert
from monitor.work import handover
from monitor.work.poll import PollRules, commit

NOON: Final = 1_795_435_200_000_000
MINUTE: Final = Duration.parse("1m")

REPLICA: Final = "bench"
"""Who holds the workspaces that are measured."""

_TABLES: Final[Mapping[str, tuple[str, Mapping[str, str]]]] = {
    "workspace": (
        "name = :workspace AND copy.is_first = 1",
        {"name": "workspace", "fingerprint_salt": "salt", "fingerprint_token": "token"},
    ),
    "account": (
        "id = :account",
        {
            "workspace": "workspace",
            "id": "account",
            "name": "name",
            "url": "url",
            "matched_name": "name",
            "matched_url": "url",
        },
    ),
    "transition": (
        "account_id = :account",
        {"workspace": "workspace", "account_id": "account"},
    ),
    "incident": (
        "subject = :account",
        {"id": "incident", "workspace": "workspace", "subject": "account"},
    ),
    "event": (
        "account_id = :account",
        {
            "id": "event",
            "workspace": "workspace",
            "account_id": "account",
            "incident_id": "incident",
        },
    ),
    "message": (
        "id = (SELECT message_id FROM notification WHERE subject = :account)",
        {"id": "message", "workspace": "workspace", "position": "position"},
    ),
    "notification": (
        "subject = :account",
        {
            "id": "notification",
            "message_id": "message",
            "event_id": "event",
            "incident_id": "incident",
            "workspace": "workspace",
            "subject": "account",
            "position": "position",
        },
    ),
}
"""For each table which row is copied, and the columns in which a copy differs from it."""


@dataclass(frozen=True, slots=True)
class Customer:
    """A workspace whose *accounts* are all frozen."""

    name: str
    token: Secret
    accounts: Sequence[ListedAccount]


def customers(count: int, accounts: int) -> Iterator[Customer]:
    """Make so many customers of so many accounts each."""
    for _ in range(count):
        id_ = new_id()
        listed = tuple(account(new_id()) for _ in range(accounts))
        yield Customer(id_, Secret(f"linked_{id_}"), listed)


def account(id_: str, status: Status = Status.FROZEN) -> ListedAccount:
    """Make an account as it is listed."""
    url = f"https://www.linkedin.com/in/{id_}/"
    return ListedAccount(id_, f"Person {id_[:8]}", url, "DE", status, status.value)


def poll_rules(receiver: str) -> PollRules:
    """Return rules by which one *receiver* hears of everything, each in a message of its own."""
    return PollRules(
        IncidentPolicy(flapping=Flapping(changes=1_000_000)),
        Routing({receiver: Receiver(receiver, groups=False)}),
        PollSettings().next_due,
        create=True,
        cooldown=Duration.parse("1h"),
    )


def held_by_bench(tx: Connection, name: str, now: Micros) -> tuple[Workspace, int]:
    """Let a workspace be held by us, as a monitor takes it; return its state and term."""
    workspaces.attach(tx, [name])
    handover.take(tx, REPLICA, [name], silent={}, blind_after=Duration(0), now=now)
    taken, _ = handover.load(tx, [name])
    return taken[name].workspace, taken[name].term


class Polled:
    """The workspace *name*, held by us: its accounts are polled a minute apart by *rules*."""

    def __init__(self, store: Store, name: str, accounts: int, rules: PollRules) -> None:
        self.store, self.name, self.now = store, name, NOON
        self.ids = [new_id() for _ in range(accounts)]
        self._rules = rules
        hold = partial(held_by_bench, name=name, now=NOON)
        self._workspace, self.term = store.run_now(hold)
        self.poll(Status.ACTIVE)

    def poll(self, status: Status) -> None:
        """Record that all accounts have this *status* a minute later."""
        self.now += MINUTE
        listed = tuple(account(id_, status) for id_ in self.ids)
        changes = diff(self._workspace, Snapshot(listed, ()))
        work = partial(
            commit,
            workspace=self._workspace,
            changes=changes,
            term=self.term,
            rules=self._rules,
            scheduled=True,
            now=self.now,
            new_id=new_id,
        )
        after = self.store.run_now(work, of=(self.name,)).decision.workspace
        assert after is not None
        self._workspace = after


def new_id() -> str:
    """Return a fresh id."""
    return str(uuid.uuid4())


def queue_by_polls(
    store: Store, owners: Iterable[Customer], receiver: str, *, at: Micros, held: bool
) -> None:
    """Let the monitor queue an opening for each account, *held* until it is looked at again."""
    for owner in owners:
        store.run_now(partial(_poll, owner=owner, receiver=receiver, at=at, held=held))


def _poll(tx: Connection, owner: Customer, receiver: str, *, at: Micros, held: bool) -> None:
    workspace, term = held_by_bench(tx, owner.name, at)
    changes = diff(workspace, Snapshot(tuple(owner.accounts), ()))
    fingerprint = make_fingerprint(new_id(), owner.token, ())
    commit(
        tx,
        workspace,
        replace(changes, fingerprint=fingerprint),
        term=term,
        rules=poll_rules(receiver),
        scheduled=True,
        now=at,
        new_id=new_id,
    )
    if held:
        held_by_bench(tx, owner.name, at)


def queue_in_bulk(
    store: Store, owners: Iterable[Customer], receiver: str, *, at: Micros, held: bool
) -> None:
    """Write what `queue_by_polls` would: only the first customer is really polled."""
    owners = iter(owners)
    sample = next(owners)
    queue_by_polls(store, [sample], receiver, at=at, held=held)
    store.run_now(partial(_copy, sample=sample, owners=owners))


def _copy(tx: Connection, sample: Customer, owners: Iterable[Customer]) -> None:
    position = tx.execute(text("SELECT MIN(position) FROM notification")).scalar_one()
    values = {"workspace": sample.name, "account": sample.accounts[0].id, "position": position}
    copies = list(_copies(owners, position))
    columns = (
        f"{name} {'BIGINT' if isinstance(value, int) else 'TEXT'}"
        for name, value in copies[0].items()
    )
    tx.execute(text(f"CREATE TEMPORARY TABLE copy ({', '.join(columns)})"))
    tx.execute(text(insert("copy", list(copies[0]))), copies)
    for table, (where, others) in _TABLES.items():
        names = [column["name"] for column in inspect(tx).get_columns(table)]
        columns = (
            f"copy.{others[name]}" if name in others else f"original.{name}" for name in names
        )
        statement = f"""
        INSERT INTO {table} ({", ".join(names)})
        SELECT {", ".join(columns)} FROM {table} AS original CROSS JOIN copy WHERE original.{where}
        """  # noqa: S608 - all names are our own
        tx.execute(text(statement), values)
    tx.execute(text("DROP TABLE copy"))


def _copies(owners: Iterable[Customer], position: int) -> Iterator[dict[str, Any]]:
    for owner in owners:
        fingerprint = make_fingerprint(new_id(), owner.token, ())
        for number, listed in enumerate(owner.accounts):
            yield {
                "position": position + number,
                "is_first": int(number == 0),
                "workspace": owner.name,
                "salt": fingerprint.salt,
                "token": fingerprint.token,
                "account": listed.id,
                "name": listed.name,
                "url": listed.url,
                **{name: new_id() for name in ("incident", "event", "message", "notification")},
            }

"""What it costs to record a poll in SQLite."""

import tempfile
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

from sqlalchemy import text

from monitor.config.settings import PollSettings
from monitor.core.diff import Quiet, diff
from monitor.core.duration import Duration
from monitor.core.model import ListedAccount, Session, Snapshot, Status, Workspace
from monitor.core.policy import Flapping, IncidentPolicy
from monitor.core.route import Receiver, Routing
from monitor.core.secret import Secret
from monitor.store import workspaces
from monitor.store.db import Store
from monitor.work.poll import PollRules, commit

from .fill import NOON, held_by_bench
from .measure import cpu_seconds, format_seconds, median_ratio, wall_seconds
from .table import Row

ACCOUNTS: Final = 1000
CHANGES: Final = 10
NO_FLAPPING: Final = IncidentPolicy(flapping=Flapping(changes=1_000_000))
RULES: Final = PollRules(
    NO_FLAPPING,
    Routing({"chat": Receiver("chat"), "crm": Receiver("crm", groups=False)}),
    PollSettings().next_due,
    create=True,
    cooldown=Duration.parse("1h"),
)


def rows(*, quick: bool) -> Sequence[Row]:
    """Measure all of it."""
    runs = 10 if quick else 40
    with tempfile.TemporaryDirectory(prefix="linkedapi-monitor-bench-") as folder:
        store = Store.open(f"sqlite:///{Path(folder)}/monitor.db")
        try:
            return _rows(store, runs)
        finally:
            store.close()


def _rows(store: Store, runs: int) -> Sequence[Row]:
    accounts = [_account(number) for number in range(ACCOUNTS)]
    workspace, term = store.run_now(lambda tx: held_by_bench(tx, "measured", NOON))
    record = _recorder(store, term)
    first = [wall_seconds(lambda: record(workspace, accounts, {}, NOON))]
    store.run_now(lambda tx: tx.execute(text("CREATE TABLE measured (at BIGINT)")))
    times: dict[str, list[float]] = {"wall": [], "cpu": [], "one row": []}
    signed_out = [_signed_out(account) for account in accounts[:CHANGES]] + accounts[CHANGES:]
    for run in range(runs):
        at = NOON + (2 * run + 1) * 60_000_000
        before = store.run_now(lambda tx: workspaces.load(tx, "measured"))
        times["one row"].append(wall_seconds(partial(_commit_one_row, store, at)))
        work = partial(record, before, signed_out, _by_id(accounts), at)
        times["cpu"].append(cpu_seconds(partial(_timed, work, times["wall"])))
        after = store.run_now(lambda tx: workspaces.load(tx, "measured"))
        record(after, accounts, _by_id(signed_out), at + 60_000_000)
    what = f"{CHANGES} of {ACCOUNTS:,} accounts sign out, told to two receivers"
    return [
        Row(f"the first look at {ACCOUNTS:,} accounts, one transaction", format_seconds(first)),
        Row(
            f"{what}: diff, decision and commit",
            format_seconds(times["wall"]),
            median_ratio(times["wall"], times["one row"]),
            beside=f"a commit of one row {format_seconds(times['one row'])}",
        ),
        Row(f"{what}: processor time of it", format_seconds(times["cpu"])),
    ]


def _by_id(accounts: Iterable[ListedAccount]) -> Mapping[str, ListedAccount]:
    return {account.id: account for account in accounts}


def _timed(work: Callable[[], object], walls: list[float]) -> None:
    walls.append(wall_seconds(work))


def _recorder(store: Store, term: int) -> Callable[..., None]:
    def record(
        workspace: Workspace,
        accounts: Sequence[ListedAccount],
        settled: Mapping[str, ListedAccount],
        at: int,
    ) -> None:
        quiet = Quiet(Snapshot(tuple(settled.values())))
        changes = diff(workspace, Snapshot(tuple(accounts), ()), quiet)
        store.run_now(
            lambda tx: commit(
                tx,
                workspace,
                changes,
                term=term,
                rules=RULES,
                scheduled=True,
                now=at,
                new_id=lambda: str(uuid.uuid4()),
            )
        )

    return record


def _commit_one_row(store: Store, at: int) -> None:
    store.run_now(lambda tx: tx.execute(text("INSERT INTO measured VALUES (:at)"), {"at": at}))


def _account(number: int) -> ListedAccount:
    return ListedAccount(
        id=str(uuid.UUID(int=number + 1)),
        name=f"Person Number {number}",
        url=f"https://www.linkedin.com/in/person-number-{number}/",
        country="DE",
        status=Status.ACTIVE,
        raw_status="active",
        session=None,
    )


def _signed_out(account: ListedAccount) -> ListedAccount:
    status = Status.RECONNECTION_REQUIRED
    session = Session(account.id, Secret(f"https://app.linkedapi.io/connection/{account.id}"))
    return replace(account, status=status, raw_status=status.value, session=session)

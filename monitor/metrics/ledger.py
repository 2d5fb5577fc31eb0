"""The series of one workspace and its accounts, kept as numbers and written as pieces of a page.

The series of accounts are written a hundred accounts at a time, and again only when one of these
has changed.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Final, Literal

from monitor.core.model import (
    ACCOUNT_CAUSES,
    BLIND_CAUSES,
    Account,
    Cause,
    EventType,
    Micros,
    Status,
    Workspace,
)

from .families import (
    ACCOUNTS,
    GOOD_AT,
    INCIDENTS,
    INFO,
    OPEN,
    POLL_SECONDS,
    POLLS,
    SESSIONS,
    SINCE,
    STATUS,
    TRANSITIONS,
    UP,
)
from .piece import Piece, piece
from .series import Series, escape

PerAccount = Literal["all", "unhealthy", "none"]

_KNOWN: Final = (Status.ACTIVE, Status.RECONNECTION_REQUIRED, Status.FROZEN)
_SESSION_OUTCOMES: Final = (
    *("created", "kept", "needless", "refused", "later", "limited", "unknown"),
)
_NAME_LENGTH: Final = 100
_BLOCK: Final = 100


@dataclass(frozen=True, slots=True)
class _Block:
    """Some accounts and their series by metric, written with or without their *names*."""

    accounts: list[Account]
    names: bool
    drawn: Mapping[str, Piece]


class Ledger:
    """What is known of one workspace.

    Threads have to take turns with it. Only `account_series`, which may take long, can run beside
    everything but itself.
    """

    __slots__ = ("_blocks", "_name", "_series", "_state")

    def __init__(self, name: str) -> None:
        self._name = escape(name)
        self._series = Series(workspace=name)
        self._state: Workspace | None = None
        self._blocks: list[_Block] = []
        self._start_at_zero()

    def _start_at_zero(self) -> None:
        for outcome in ("ok", *BLIND_CAUSES):
            self._series.count(POLLS, 0, outcome=outcome)
        self._series.begin(POLL_SECONDS)
        for before in _KNOWN:
            for after in _KNOWN:
                if before is not after:
                    self.changed(before, after, 0)
        for cause in (*ACCOUNT_CAUSES, *BLIND_CAUSES):
            for event in (EventType.OPENED, EventType.RESOLVED):
                self._series.count(INCIDENTS, 0, cause=cause, event=event)
        for outcome in _SESSION_OUTCOMES:
            self._series.count(SESSIONS, 0, outcome=outcome)
        self._show(Workspace(""), {})

    def polled(self, outcome: str, seconds: float) -> None:
        """Count one poll."""
        self._series.count(POLLS, outcome=outcome)
        self._series.observe(POLL_SECONDS, seconds)

    def polled_well(self, at: Micros) -> None:
        """Note when the account list was last read."""
        self._series.show(GOOD_AT, at / 1_000_000)

    def changed(self, before: Status | None, after: Status | None, times: int = 1) -> None:
        """Count a change of an account's status."""
        labels = {"from": before or "absent", "to": after or "absent"}
        self._series.count(TRANSITIONS, times, **labels)

    def incident(self, cause: Cause, event: EventType) -> None:
        """Count what happened to an incident."""
        self._series.count(INCIDENTS, cause=cause, event=event)

    def session_created(self, outcome: str) -> None:
        """Count that a reconnection session was asked for."""
        self._series.count(SESSIONS, outcome=outcome)

    def show(self, state: Workspace, open_incidents: Mapping[Cause, int]) -> None:
        """Take over what is recorded."""
        self._state = state
        self._show(state, open_incidents)
        if state.last_good_at is not None and not self._series.knows(GOOD_AT):
            self.polled_well(state.last_good_at)

    def _show(self, state: Workspace, open_incidents: Mapping[Cause, int]) -> None:
        self._series.show(UP, int(state.failing is None and state.baseline_at is not None))
        counts = dict.fromkeys(Status, 0)
        for account in state.accounts.values():
            counts[account.status] += 1
        for status, count in counts.items():
            self._series.show(ACCOUNTS, count, status=status)
        for cause in Cause:
            self._series.show(OPEN, open_incidents.get(cause, 0), cause=cause)

    def series(self) -> Mapping[str, Piece]:
        """Write the series of the workspace itself, by metric, where they have changed."""
        return self._series.pieces()

    def account_series(self, per_account: PerAccount, *, names: bool) -> list[Mapping[str, Piece]]:
        """Write the series of the accounts, by metric, where they have changed."""
        state = self._state  # the counting thread may put another one there meanwhile
        accounts = list(state.accounts.values()) if state and per_account != "none" else []
        if per_account == "unhealthy":
            accounts = [one for one in accounts if one.status is not Status.ACTIVE]
        parts = [accounts[at : at + _BLOCK] for at in range(0, len(accounts), _BLOCK)]
        known = zip_longest(parts, self._blocks[: len(parts)])
        self._blocks = [self._block(some, kept, names=names) for some, kept in known]
        return [one.drawn for one in self._blocks]

    def _block(self, accounts: list[Account], kept: _Block | None, *, names: bool) -> _Block:
        if kept and kept.names is names and kept.accounts == accounts:
            return replace(kept, accounts=accounts)  # the same objects are compared in no time
        return _Block(accounts, names, self._draw(accounts, names=names))

    def _draw(self, accounts: Iterable[Account], *, names: bool) -> Mapping[str, Piece]:
        def lines(family: str, rests: Iterator[str]) -> Piece:
            start = f'{family}{{workspace="{self._name}",account_id="'
            return piece("".join(start + rest for rest in rests))

        both = [(escape(one.id), one) for one in accounts]
        return {
            STATUS: lines(STATUS, (f'{id_}",status="{one.status}"}} 1\n' for id_, one in both)),
            INFO: lines(INFO, (f'{id_}",{_about(one, names=names)}}} 1\n' for id_, one in both)),
            SINCE: lines(SINCE, (f'{id_}"}} {one.since / 1_000_000}\n' for id_, one in both)),
        }


def _about(account: Account, *, names: bool) -> str:
    country = f'country="{escape(account.country)}"'
    return f'name="{escape(account.name[:_NAME_LENGTH])}",{country}' if names else country

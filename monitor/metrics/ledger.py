"""The series of one workspace and its accounts, kept as numbers and written as pieces of a page.

A piece is written again only when something in it has changed: of the workspace there is one for
each metric, of its accounts one for each metric and a hundred accounts.
"""

import functools
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

from .piece import Piece, piece

PerAccount = Literal["all", "unhealthy", "none"]

CALL_SECONDS: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""The upper bounds by which the durations of calls and polls are counted."""

STATUS: Final = "linkedapi_account_status"
INFO: Final = "linkedapi_account_info"
SINCE: Final = "linkedapi_account_status_since_timestamp_seconds"
ACCOUNTS: Final = "linkedapi_accounts"
TRANSITIONS: Final = "linkedapi_account_transitions_total"
UP: Final = "linkedapi_workspace_up"
GOOD_AT: Final = "linkedapi_last_successful_poll_timestamp_seconds"
POLLS: Final = "linkedapi_polls_total"
POLL_SECONDS: Final = "linkedapi_poll_duration_seconds"
OPEN: Final = "linkedapi_incidents_open"
INCIDENTS: Final = "linkedapi_incidents_total"
SESSIONS: Final = "linkedapi_reconnection_sessions_created_total"

FAMILIES: Final = {
    STATUS: ("gauge", "1 for the present status of an account."),
    INFO: ("gauge", "1 for each account, with its name and country."),
    SINCE: ("gauge", "When the present status of an account was first seen."),
    ACCOUNTS: ("gauge", "Accounts by their last known status."),
    TRANSITIONS: ("counter", "Changes of an account's status; absent: not in the account list."),
    UP: ("gauge", "1 if the latest poll read the workspace, 0 if it failed or there was none yet."),
    GOOD_AT: ("gauge", "When the account list was last read."),
    POLLS: ("counter", "Polls of the account list by how they ended."),
    POLL_SECONDS: ("histogram", "How long polls took."),
    OPEN: ("gauge", "Open incidents by cause."),
    INCIDENTS: ("counter", "What happened to incidents."),
    SESSIONS: ("counter", "Reconnection sessions asked for, by outcome."),
}
"""Type and help of every metric in here, in the order in which they are shown."""

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

    __slots__ = ("_blocks", "_drawn", "_name", "_state", "_values")

    def __init__(self, name: str) -> None:
        self._name = _escape(name)
        self._values: dict[str, dict[str, float]] = {family: {} for family in FAMILIES}
        self._drawn: dict[str, Piece] = {}
        self._state: Workspace | None = None
        self._blocks: list[_Block] = []
        self._start_at_zero()

    def _start_at_zero(self) -> None:
        for outcome in ("ok", *BLIND_CAUSES):
            self._add(POLLS, _tail(outcome=outcome), 0)
        for bound in CALL_SECONDS:
            self._add(POLL_SECONDS, _tail("_bucket", le=str(bound)), 0)
        for tail in (_tail("_bucket", le="+Inf"), _tail("_sum"), _tail("_count")):
            self._add(POLL_SECONDS, tail, 0)
        for before in _KNOWN:
            for after in _KNOWN:
                if before is not after:
                    self._add(TRANSITIONS, _change(before, after), 0)
        for cause in (*ACCOUNT_CAUSES, *BLIND_CAUSES):
            for event in (EventType.OPENED, EventType.RESOLVED):
                self._add(INCIDENTS, _tail(cause=cause, event=event), 0)
        for outcome in _SESSION_OUTCOMES:
            self._add(SESSIONS, _tail(outcome=outcome), 0)
        self._show(Workspace(""), {})

    def _add(self, family: str, tail: str, by: float = 1) -> None:
        self._set(family, tail, self._values[family].get(tail, 0) + by)

    def _set(self, family: str, tail: str, value: float) -> None:
        series = self._values[family]
        if series.get(tail) != value:
            series[tail] = value
            self._drawn.pop(family, None)

    def polled(self, outcome: str, seconds: float) -> None:
        """Count one poll."""
        self._add(POLLS, _tail(outcome=outcome))
        for bound in CALL_SECONDS:
            self._add(POLL_SECONDS, _tail("_bucket", le=str(bound)), seconds <= bound)
        self._add(POLL_SECONDS, _tail("_bucket", le="+Inf"))
        self._add(POLL_SECONDS, _tail("_sum"), seconds)
        self._add(POLL_SECONDS, _tail("_count"))

    def polled_well(self, at: Micros) -> None:
        """Note when the account list was last read."""
        self._set(GOOD_AT, _tail(), at / 1_000_000)

    def changed(self, before: Status | None, after: Status | None) -> None:
        """Count a change of an account's status."""
        self._add(TRANSITIONS, _change(before, after))

    def incident(self, cause: Cause, event: EventType) -> None:
        """Count what happened to an incident."""
        self._add(INCIDENTS, _tail(cause=cause, event=event))

    def session_created(self, outcome: str) -> None:
        """Count that a reconnection session was asked for."""
        self._add(SESSIONS, _tail(outcome=outcome))

    def show(self, state: Workspace, open_incidents: Mapping[Cause, int]) -> None:
        """Take over what is recorded."""
        self._state = state
        self._show(state, open_incidents)
        if state.last_good_at is not None and not self._values[GOOD_AT]:
            self.polled_well(state.last_good_at)

    def _show(self, state: Workspace, open_incidents: Mapping[Cause, int]) -> None:
        is_up = state.failing is None and state.baseline_at is not None
        self._set(UP, _tail(), int(is_up))
        counts = dict.fromkeys(Status, 0)
        for account in state.accounts.values():
            counts[account.status] += 1
        for status, count in counts.items():
            self._set(ACCOUNTS, _tail(status=status), count)
        for cause in Cause:
            self._set(OPEN, _tail(cause=cause), open_incidents.get(cause, 0))

    def series(self) -> dict[str, Piece]:
        """Write the series of the workspace itself, by metric, where they have changed."""
        for family, series in self._values.items():
            if series and family not in self._drawn:
                lines = (f"{family}{tail % self._name} {value}\n" for tail, value in series.items())
                self._drawn[family] = piece("".join(lines))
        return self._drawn.copy()

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

        both = [(_escape(one.id), one) for one in accounts]
        return {
            STATUS: lines(STATUS, (f'{id_}",status="{one.status}"}} 1\n' for id_, one in both)),
            INFO: lines(INFO, (f'{id_}",{_about(one, names=names)}}} 1\n' for id_, one in both)),
            SINCE: lines(SINCE, (f'{id_}"}} {one.since / 1_000_000}\n' for id_, one in both)),
        }


@functools.cache
def header(family: str) -> Piece:
    """Write the lines that introduce a metric."""
    kind, text = FAMILIES[family]
    return piece(f"# HELP {family} {text}\n# TYPE {family} {kind}\n")


def _about(account: Account, *, names: bool) -> str:
    country = f'country="{_escape(account.country)}"'
    return f'name="{_escape(account.name[:_NAME_LENGTH])}",{country}' if names else country


def _change(before: Status | None, after: Status | None) -> str:
    return _tail(**{"from": before or "absent", "to": after or "absent"})


@functools.cache  # the values of these labels are ours and few
def _tail(suffix: str = "", **labels: str) -> str:
    """Return how a series' name goes on after that of its metric; %s is the workspace."""
    more = "".join(f',{key}="{_escape(value)}"'.replace("%", "%%") for key, value in labels.items())
    return f'{suffix}{{workspace="%s"{more}}}'


def _escape(value: str) -> str:
    """Write a label's value as the exposition format wants it."""
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")

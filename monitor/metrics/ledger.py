"""The series of one workspace and its accounts, kept as numbers and written as text.

The text of the accounts is kept until another state is recorded; the few series of the workspace
itself are written anew for every scrape.
"""

import functools
from collections.abc import Iterable, Iterator, Mapping
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


class Ledger:
    """What is known of one workspace; all but `text` belongs to the thread that counts."""

    __slots__ = ("_drawn", "_drawn_of", "_drawn_way", "_name", "_state", "_values")

    def __init__(self, name: str) -> None:
        self._name = _escape(name)
        self._values: dict[str, dict[str, float]] = {family: {} for family in FAMILIES}
        self._state: Workspace | None = None
        self._drawn_of: Workspace | None = None
        self._drawn_way: tuple[PerAccount, bool] | None = None
        self._drawn: Mapping[str, bytes] = {}
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
        series = self._values[family]
        series[tail] = series.get(tail, 0) + by

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
        self._values[GOOD_AT][_tail()] = at / 1_000_000

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
        self._values[UP][_tail()] = int(is_up)
        counts = dict.fromkeys(Status, 0)
        for account in state.accounts.values():
            counts[account.status] += 1
        for status, count in counts.items():
            self._values[ACCOUNTS][_tail(status=status)] = count
        for cause in Cause:
            self._values[OPEN][_tail(cause=cause)] = open_incidents.get(cause, 0)

    def series(self) -> dict[str, bytes]:
        """Write the series of the workspace itself, by metric."""
        return {
            family: "".join(
                f"{family}{tail % self._name} {value}\n" for tail, value in series.items()
            ).encode(errors="replace")
            for family, series in self._values.items()
            if series
        }

    def account_series(self, per_account: PerAccount, *, names: bool) -> Mapping[str, bytes]:
        """Write the series of the accounts, by metric, unless they are still as they were."""
        state = self._state  # the counting thread may put another one there meanwhile
        way = (per_account, names)
        if state is not None and (state is not self._drawn_of or way != self._drawn_way):
            accounts: Iterable[Account] = state.accounts.values()
            if per_account != "all":
                accounts = [one for one in accounts if one.status is not Status.ACTIVE]
            self._drawn = self._draw(list(accounts), names=names)
            self._drawn_of, self._drawn_way = state, way
        return self._drawn

    def _draw(self, accounts: list[Account], *, names: bool) -> Mapping[str, bytes]:
        def lines(family: str, rests: Iterator[str]) -> bytes:
            start = f'{family}{{workspace="{self._name}",account_id="'
            return "".join(start + rest for rest in rests).encode(errors="replace")

        ids = [_escape(one.id) for one in accounts]
        both = list(zip(ids, accounts, strict=True))
        return {
            STATUS: lines(STATUS, (f'{id_}",status="{one.status}"}} 1\n' for id_, one in both)),
            INFO: lines(INFO, (f'{id_}",{_about(one, names=names)}}} 1\n' for id_, one in both)),
            SINCE: lines(SINCE, (f'{id_}"}} {one.since / 1_000_000}\n' for id_, one in both)),
        }


def header(family: str) -> bytes:
    """Write the lines that introduce a metric."""
    kind, text = FAMILIES[family]
    return f"# HELP {family} {text}\n# TYPE {family} {kind}\n".encode()


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

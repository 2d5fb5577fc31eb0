"""What Prometheus scrapes: names, labels and help of every metric stand in this package only.

families  names, types, help and buckets
series    numbers, and how they are written
ledger    those of one workspace and its accounts
piece     a part of the page, compressed once

What has not changed since the last scrape is not written again: there may be a million series, and
a client object for each costs a hundred times the processor time. Only what is known of the process
is left to such objects. Counters know their common labels from the start, at 0, so that their first
increase is not lost to `rate()`.
"""

import threading
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Gauge,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)

from monitor.core.errors import AttemptReason
from monitor.core.model import Cause, EventType, Micros, Transition, Workspace

from .families import (
    ATTEMPTS,
    FAMILIES,
    LATENCY,
    NOTIFICATIONS,
    OLDEST,
    PENDING,
    RECOVERY,
    REQUEST_SECONDS,
    REQUESTS,
    UNROUTED,
    header,
)
from .ledger import Ledger, PerAccount
from .piece import Piece, page, piece
from .series import Series

_METHODS: Final = (
    "accounts.getAll",
    "accounts.getConnectionSession",
    "accounts.createReconnectionSession",
)
_CALL_OUTCOMES: Final = ("ok", "api_error", "http_error", "network", "timeout")
_ENDS: Final = ("delivered", "dead", "cancelled")


class Metrics:
    """Counts what happens and shows what is recorded; any thread may `render` it."""

    def __init__(self, *, version: str) -> None:
        self._per_account: PerAccount = "all"
        self._account_names = True
        self._types: dict[str, str] = {}
        self._ledgers: dict[str, Ledger] = {}
        self._counting = threading.Lock()
        self._rendering = threading.Lock()
        self._series = Series()
        self._registry = CollectorRegistry()
        self._make_monitor(version)

    def _make_monitor(self, version: str) -> None:
        gauge = partial(Gauge, registry=self._registry)
        build = gauge("linkedapi_monitor_build_info", "The version of the monitor.", ["version"])
        build.labels(version).set(1)
        self._reloaded = gauge(
            "linkedapi_monitor_config_last_reload_successful",
            "1 if the configuration was last loaded without a problem.",
        )
        self._reloaded.set(1)
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        GCCollector(registry=self._registry)

    def configure(self, *, per_account: PerAccount, account_names: bool) -> None:
        """Show series of *per_account*: all accounts, those that are not active, or none.

        Their names are shown only with *account_names*.
        """
        self._per_account, self._account_names = per_account, account_names

    def reloaded(self, *, successful: bool) -> None:
        """Show whether the configuration was last loaded without a problem."""
        self._reloaded.set(int(successful))

    def declare(self, *, workspaces: Iterable[str], receivers: Mapping[str, str]) -> None:
        """Start the series of *workspaces* and *receivers* (name → type) at 0.

        There are none of other workspaces any more. What was counted stays, also of receivers that
        left: it is history.
        """
        with self._counting:
            known = self._ledgers
            self._ledgers = {name: known.get(name) or Ledger(name) for name in workspaces}
            for receiver in self._types.keys() - receivers.keys():
                self._series.hide(PENDING, receiver=receiver)
                self._series.hide(OLDEST, receiver=receiver)
            for receiver, kind in receivers.items():
                self._declare_receiver(receiver, kind)
            self._types.update(receivers)
            for method in _METHODS:
                self._series.begin(REQUEST_SECONDS, method=method)
                for outcome in _CALL_OUTCOMES:
                    self._series.count(REQUESTS, 0, method=method, outcome=outcome)
            for phase in ("notified", "active"):
                self._series.begin(RECOVERY, phase=phase)
            self._series.count(UNROUTED, 0)

    def _declare_receiver(self, receiver: str, kind: str) -> None:
        self._series.begin(LATENCY, type=kind)
        self._series.count(PENDING, 0, receiver=receiver)
        for reason in AttemptReason:
            self._series.count(ATTEMPTS, 0, receiver=receiver, type=kind, reason=reason)
        for event in EventType:
            for end in _ENDS:
                labels = {"receiver": receiver, "type": kind, "event": event, "outcome": end}
                self._series.count(NOTIFICATIONS, 0, **labels)

    # ── workspaces ───────────────────────────────────────────────────────────────────────────────

    def requested(self, method: str, outcome: str, seconds: float) -> None:
        """Count one call of Linked API."""
        with self._counting:
            self._series.count(REQUESTS, method=method, outcome=outcome)
            self._series.observe(REQUEST_SECONDS, seconds, method=method)

    def polled(self, workspace: str, outcome: str, seconds: float) -> None:
        """Count one poll; *outcome* is `ok` or why the workspace could not be read."""
        with self._counting:
            self._ledger(workspace).polled(outcome, seconds)

    def polled_well(self, workspace: str, at: Micros) -> None:
        """Show when the account list was last read."""
        with self._counting:
            self._ledger(workspace).polled_well(at)

    def workspace(self, state: Workspace, open_incidents: Mapping[Cause, int]) -> None:
        """Show what is recorded of one workspace, its accounts and incidents."""
        with self._counting:
            self._ledger(state.name).show(state, open_incidents)

    def transition(self, change: Transition) -> None:
        """Count a change of an account's status."""
        with self._counting:
            self._ledger(change.workspace).changed(change.before, change.after)

    def incident(self, workspace: str, cause: Cause, event: EventType) -> None:
        """Count what happened to an incident."""
        with self._counting:
            self._ledger(workspace).incident(cause, event)

    def session_created(self, workspace: str, outcome: str) -> None:
        """Count that a reconnection session was asked for."""
        with self._counting:
            self._ledger(workspace).session_created(outcome)

    def recovery(self, phase: str, seconds: float) -> None:
        """Count that a recovery reached *phase*, so long after the problem was detected."""
        with self._counting:
            self._series.observe(RECOVERY, seconds, phase=phase)

    def _ledger(self, workspace: str) -> Ledger:
        """Return what is counted of *workspace*; of one that left, nothing is kept."""
        return self._ledgers.get(workspace) or Ledger(workspace)

    # ── notifications ────────────────────────────────────────────────────────────────────────────

    def attempted(self, receiver: str, reason: str) -> None:
        """Count an attempt to hand a message over to *receiver*."""
        kind = self._type(receiver)
        with self._counting:
            self._series.count(ATTEMPTS, receiver=receiver, type=kind, reason=reason)

    def settled(self, receiver: str, event: str, outcome: str) -> None:
        """Count a notification for *receiver* that came to an end."""
        kind = self._type(receiver)
        labels = {"receiver": receiver, "type": kind, "event": event, "outcome": outcome}
        with self._counting:
            self._series.count(NOTIFICATIONS, **labels)

    def accepted(self, receiver: str, seconds: float) -> None:
        """Count how long a message to *receiver* was under way."""
        kind = self._type(receiver)
        with self._counting:
            self._series.observe(LATENCY, seconds, type=kind)

    def pending(self, receiver: str, count: int, oldest_at: Micros | None) -> None:
        """Show how many notifications wait for *receiver*, and since when the oldest does."""
        with self._counting:
            self._series.show(PENDING, count, receiver=receiver)
            if oldest_at is None:
                self._series.hide(OLDEST, receiver=receiver)
            else:
                self._series.show(OLDEST, oldest_at / 1_000_000, receiver=receiver)

    def unrouted(self) -> None:
        """Count an event that nobody is told of."""
        with self._counting:
            self._series.count(UNROUTED)

    def _type(self, receiver: str) -> str:
        return self._types.get(receiver, "unknown")  # it has left the configuration

    # ── the text ─────────────────────────────────────────────────────────────────────────────────

    def render(self, *, compressed: bool = False) -> bytes:
        """Write everything in the Prometheus text format 0.0.4, as it is or as gzip.

        It takes its time, so not on the event loop.
        """
        with self._rendering:
            return page(self._pieces(), compressed=compressed)

    def _pieces(self) -> Iterator[Piece]:
        series: dict[str, list[Piece]] = {family: [] for family in FAMILIES}
        for part in self._parts():
            for family, some in part.items():
                series[family].append(some)
        for family, pieces in series.items():
            if pieces:
                yield header(family)
                yield from pieces
        yield piece(generate_latest(self._registry))

    def _parts(self) -> Iterator[Mapping[str, Piece]]:
        with self._counting:
            ledgers = list(self._ledgers.values())
            own = self._series.pieces()
        yield own
        for ledger in ledgers:
            with self._counting:  # for one workspace at a time, so that counting never waits long
                own = ledger.series()
            yield own
            yield from ledger.account_series(self._per_account, names=self._account_names)

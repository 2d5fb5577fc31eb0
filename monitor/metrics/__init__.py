"""What Prometheus scrapes: names, labels and help of every metric stand in this package only.

Series of a workspace (and of its accounts) are written from what was recorded (`ledger`), and again
only when that changes (`piece`): there may be a million of them, and a client object for each costs
a hundred times the processor time. The few others are ordinary client metrics in a registry of our
own. Counters know their common labels from the start, at 0, so that their first increase is not
lost to `rate()`.
"""

import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from monitor.core.errors import AttemptReason
from monitor.core.model import Cause, EventType, Micros, Transition, Workspace

from .ledger import CALL_SECONDS, FAMILIES, Ledger, PerAccount, header
from .piece import Piece, page, piece

_DELIVERY_SECONDS: Final = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 14400, 86400)
_RECOVERY_SECONDS: Final = (
    *(5, 30, 60, 300, 900, 1800, 3600),
    *(7200, 14400, 28800, 86400, 172800, 604800),
)
_METHODS: Final = (
    "accounts.getAll",
    "accounts.getConnectionSession",
    "accounts.createReconnectionSession",
)
_CALL_OUTCOMES: Final = ("ok", "api_error", "http_error", "network", "timeout")
_ENDS: Final = ("delivered", "dead", "cancelled")


class Metrics:
    """Counts what happens and shows what is recorded; any thread may `render` it.

    Series exist for *per_account*: all accounts, those that are not active, or none; their names
    are shown only with *account_names*.
    """

    def __init__(
        self, *, version: str, per_account: PerAccount = "all", account_names: bool = True
    ) -> None:
        self._per_account: PerAccount = per_account
        self._account_names = account_names
        self._types: dict[str, str] = {}
        self._ledgers: dict[str, Ledger] = {}
        self._counting = threading.Lock()
        self._rendering = threading.Lock()
        self._registry = CollectorRegistry()
        self._make_families()
        self._make_monitor(version)

    def _make_families(self) -> None:
        counter = partial(Counter, registry=self._registry)
        gauge = partial(Gauge, registry=self._registry)
        histogram = partial(Histogram, registry=self._registry)
        self._requests = counter(
            "linkedapi_api_requests_total",
            "Calls of Linked API by how they ended.",
            ["method", "outcome"],
        )
        self._request_seconds = histogram(
            "linkedapi_api_request_duration_seconds",
            "How long calls of Linked API took.",
            ["method"],
            buckets=CALL_SECONDS,
        )
        self._recovery = histogram(
            "linkedapi_recovery_seconds",
            "From the detection of an account's problem to each phase of its recovery.",
            ["phase"],
            buckets=_RECOVERY_SECONDS,
        )
        self._notifications = counter(
            "linkedapi_notifications_total",
            "Notifications that came to an end.",
            ["receiver", "type", "event", "outcome"],
        )
        self._attempts = counter(
            "linkedapi_notification_attempts_total",
            "Attempts to hand a message over.",
            ["receiver", "type", "reason"],
        )
        self._latency = histogram(
            "linkedapi_notification_latency_seconds",
            "From the commit of a message to its acceptance by the receiver.",
            ["type"],
            buckets=_DELIVERY_SECONDS,
        )
        self._pending = gauge(
            "linkedapi_notifications_pending",
            "Notifications that wait for delivery.",
            ["receiver"],
        )
        self._oldest = gauge(
            "linkedapi_oldest_pending_notification_timestamp_seconds",
            "Since when the oldest pending notification waits; no series while none does.",
            ["receiver"],
        )
        self._unrouted = counter(
            "linkedapi_events_unrouted_total",
            "Events that no route matched and no fallback took.",
        )

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
        """Show accounts in another way from now on."""
        self._per_account, self._account_names = per_account, account_names

    def reloaded(self, *, successful: bool) -> None:
        """Show whether the configuration was last loaded without a problem."""
        self._reloaded.set(int(successful))

    def declare(self, *, workspaces: Iterable[str], receivers: Mapping[str, str]) -> None:
        """Start the series of *workspaces* and *receivers* (name → type) at 0.

        There are none of other workspaces any more. What was counted stays, also of receivers that
        left: it is history.
        """
        for gone in self._types.keys() - receivers.keys():
            self.pending(gone, 0, None)
            with suppress(KeyError):
                self._pending.remove(gone)
        self._types.update(receivers)
        with self._counting:
            known = self._ledgers
            self._ledgers = {name: known.get(name) or Ledger(name) for name in workspaces}
        for method in _METHODS:
            self._request_seconds.labels(method)
            for outcome in _CALL_OUTCOMES:
                self._requests.labels(method, outcome)
        for phase in ("notified", "active"):
            self._recovery.labels(phase)
        for receiver, kind in receivers.items():
            self._pending.labels(receiver)
            self._latency.labels(kind)
            for reason in AttemptReason:
                self._attempts.labels(receiver, kind, reason)
            for event in EventType:
                for end in _ENDS:
                    self._notifications.labels(receiver, kind, event, end)

    # ── workspaces ───────────────────────────────────────────────────────────────────────────────

    def requested(self, method: str, outcome: str, seconds: float) -> None:
        """Count one call of Linked API."""
        self._requests.labels(method, outcome).inc()
        self._request_seconds.labels(method).observe(seconds)

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
        self._recovery.labels(phase).observe(seconds)

    def _ledger(self, workspace: str) -> Ledger:
        """Return what is counted of *workspace*; of one that left, nothing is kept."""
        return self._ledgers.get(workspace) or Ledger(workspace)

    # ── notifications ────────────────────────────────────────────────────────────────────────────

    def attempted(self, receiver: str, reason: str) -> None:
        """Count an attempt to hand a message over to *receiver*."""
        self._attempts.labels(receiver, self._type(receiver), reason).inc()

    def settled(self, receiver: str, event: str, outcome: str) -> None:
        """Count a notification for *receiver* that came to an end."""
        self._notifications.labels(receiver, self._type(receiver), event, outcome).inc()

    def accepted(self, kind: str, seconds: float) -> None:
        """Count how long a message to a receiver of the type *kind* was under way."""
        self._latency.labels(kind).observe(seconds)

    def pending(self, receiver: str, count: int, oldest_at: Micros | None) -> None:
        """Show how many notifications wait for *receiver*, and since when the oldest does."""
        self._pending.labels(receiver).set(count)
        if oldest_at is not None:
            self._oldest.labels(receiver).set(oldest_at / 1_000_000)
            return
        with suppress(KeyError):  # no series is what nothing pending looks like
            self._oldest.remove(receiver)

    def unrouted(self) -> None:
        """Count an event that nobody is told of."""
        self._unrouted.inc()

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
        with self._counting:
            ledgers = list(self._ledgers.values())
        for ledger in ledgers:
            with self._counting:  # for one workspace at a time, so that counting never waits long
                own = ledger.series()
            of_accounts = ledger.account_series(self._per_account, names=self._account_names)
            for part in (own, *of_accounts):
                for family, some in part.items():
                    series[family].append(some)
        for family, pieces in series.items():
            if pieces:
                yield header(family)
                yield from pieces
        yield piece(generate_latest(_Plain(self._registry)))


class _Plain(Collector):
    """A registry without the times at which its series began: they would double the series."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def collect(self) -> Iterator[Metric]:
        for family in self._registry.collect():
            family.samples = [one for one in family.samples if not one.name.endswith("_created")]
            yield family

"""What Prometheus scrapes: names, labels and help of every metric are in this package only.

families    every metric, declared
series      numbers by metric and labels
workspace   those of one workspace and its accounts
exposition  the text format, in chunks that are compressed once

What has not changed since the last scrape is not written again: there may be a million series, and
a client object for each costs a hundred times the processor time. Only metrics of the process are
left to such objects. Counters have their known labels from the start, at 0, so that their first
increase is not lost to `rate()`.
"""

import threading
from collections.abc import Iterable, Iterator, Mapping

from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)

from monitor.core.model import Cause, Micros, Transition, Workspace

from . import families
from .exposition import Chunk, Page, chunk, header
from .families import Family
from .series import Series
from .workspace import PerAccount, WorkspaceSeries


class Metrics:
    """Counts what happens and shows what is recorded; any thread may call any method.

    `count`, `observe` and `set` take a metric of `families` and its labels, but for `type`: that is
    the type of the receiver.
    """

    def __init__(self, *, version: str) -> None:
        self._per_account: PerAccount = "all"
        self._account_names = True
        self._types: dict[str, str] = {}
        self._workspaces: dict[str, WorkspaceSeries] = {}
        self._counting = threading.Lock()
        self._rendering = threading.Lock()
        self._series = Series()
        self._series.init(families.OF_MONITOR)
        self._series.set(families.BUILD_INFO, 1.0, version=version)
        self._series.set(families.RELOADED, 1.0)
        self._process = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self._process)

    def configure(self, *, per_account: PerAccount, account_names: bool) -> None:
        """Show series of all, unhealthy or no accounts (*per_account*), with names or without."""
        self._per_account, self._account_names = per_account, account_names

    def declare(self, *, workspaces: Iterable[str], receivers: Mapping[str, str]) -> None:
        """Start the series of *workspaces* and *receivers* (name → type) at 0.

        ALL_WORKSPACES is one of these where what they have together is shown. Series of other
        workspaces are dropped, and gauges of other receivers. What was counted of a receiver stays
        when it leaves: it is history.
        """
        with self._counting:
            present = self._workspaces
            self._workspaces = {
                name: present.get(name) or WorkspaceSeries(name) for name in workspaces
            }
            for receiver in self._types.keys() - receivers.keys():
                for family in families.OF_RECEIVERS:
                    if family.type == "gauge":
                        self._series.set(family, None, receiver=receiver)
            for receiver, type_ in receivers.items():
                self._series.init(families.OF_RECEIVERS, receiver=receiver, type=type_)
            self._types.update(receivers)

    def count(self, family: Family, /, **labels: str) -> None:
        """Increase a counter by 1."""
        with self._counting:
            self._series_of(labels).count(family, **labels)

    def observe(self, family: Family, value: float, /, **labels: str) -> None:
        """Count *value* in a histogram; a time is in seconds."""
        with self._counting:
            self._series_of(labels).observe(family, value, **labels)

    def set(self, family: Family, value: float | None, /, **labels: str) -> None:
        """Set a gauge, or what is counted elsewhere; with None it has no series any more."""
        with self._counting:
            self._series_of(labels).set(family, value, **labels)

    def _series_of(self, labels: dict[str, str]) -> Series:
        """Return the series that *labels* belong to, and complete *labels*."""
        if "receiver" in labels:  # a type is unknown once the receiver has left the configuration
            labels["type"] = self._types.get(labels["receiver"], "unknown")
        if "workspace" not in labels:
            return self._series
        return self._workspaces.get(labels.pop("workspace")) or Series()  # nothing is kept of it

    def requested(self, method: str, outcome: str, seconds: float) -> None:
        """Count one call of Linked API."""
        self.count(families.REQUESTS, method=method, outcome=outcome)
        self.observe(families.REQUEST_DURATION, seconds, method=method)

    def transacted(self, kind: str, waited: float, took: float) -> None:
        """Count a transaction of the store: it *waited* for its turn, and then *took* so long."""
        self.observe(families.STORE_WAIT, waited, kind=kind)
        self.observe(families.STORE_TRANSACTION, took, kind=kind)

    def polled(self, workspace: str, outcome: str, seconds: float) -> None:
        """Count one poll; *outcome* is `ok` or why the workspace could not be read."""
        self.count(families.POLLS, workspace=workspace, outcome=outcome)
        self.observe(families.POLL_DURATION, seconds, workspace=workspace)

    def poll_succeeded(self, workspace: str, at: Micros) -> None:
        """Show when the account list was last read."""
        self.set(families.LAST_SUCCESS, at / 1_000_000, workspace=workspace)

    def workspace(self, workspace: Workspace, open_incidents: Mapping[Cause, int]) -> None:
        """Show what is recorded of one workspace, its accounts and incidents."""
        with self._counting:
            if series := self._workspaces.get(workspace.name):
                series.update(workspace, open_incidents)

    def transition(self, change: Transition) -> None:
        """Count a change of an account's status."""
        statuses = {"from": change.before or "absent", "to": change.after or "absent"}
        self.count(families.TRANSITIONS, workspace=change.workspace, **statuses)

    def settled(self, receiver: str, event: str, outcome: str) -> None:
        """Count a notification for *receiver* that came to an end."""
        self.count(families.NOTIFICATIONS, receiver=receiver, event=event, outcome=outcome)

    def pending(self, receiver: str, count: int, oldest_at: Micros | None) -> None:
        """Show how many notifications wait for *receiver*, and since when the oldest does."""
        oldest = None if oldest_at is None else oldest_at / 1_000_000
        self.set(families.PENDING, count, receiver=receiver)
        self.set(families.OLDEST_PENDING, oldest, receiver=receiver)

    def receiver(self, name: str, *, not_before: Micros | None, is_failing: bool) -> None:
        """Show how a receiver fares, and until when nothing is sent to it."""
        paused_until = None if not_before is None else not_before / 1_000_000
        self.set(families.PAUSED_UNTIL, paused_until, receiver=name)
        self.set(families.FAILING, float(is_failing), receiver=name)

    def render(self, *, compressed: bool = False) -> Page:
        """Write everything in the Prometheus text format 0.0.4, as it is or as gzip.

        It takes its time, so not on the event loop; to read the page takes some, too.
        """
        with self._rendering:
            return Page(self._chunks(), compressed=compressed)

    def _chunks(self) -> Iterator[Chunk]:
        by_family: dict[Family, list[Chunk]] = {family: [] for family in families.FAMILIES}
        for part in self._parts():
            for family, rendered in part.items():
                by_family[family].append(rendered)
        for family, chunks in by_family.items():
            if chunks:
                yield header(family)
                yield from chunks
        yield chunk(generate_latest(self._process).decode())

    def _parts(self) -> Iterator[Mapping[Family, Chunk]]:
        with self._counting:
            workspaces = list(self._workspaces.values())
            part = self._series.chunks()
        yield part
        for series in workspaces:
            with self._counting:  # for one workspace at a time, so that counting never waits long
                part = series.chunks()
            yield part
            yield from series.account_chunks(self._per_account, names=self._account_names)

"""The metrics of a monitor with one workspace and one receiver, scraped without HTTP."""

import zlib

from prometheus_client.parser import text_string_to_metric_families

from harness import notifications
from harness.core import NOON
from monitor.core.model import Cause, EventType, Status, Transition, Workspace
from monitor.metrics import Metrics, families


def account(id_="a1", status=Status.ACTIVE, *, name="Jane", **values):
    values = {"country": "DE", "since": NOON} | values
    return notifications.account(name, id_=id_, status=status, raw_status=status.value, **values)


class MetricsHarness(Metrics):
    def __init__(self):
        super().__init__(version="1.2.3")
        self.declare(workspaces=["acme"], receivers={"ops": "slack"})

    def show(self, *accounts, name="acme", incidents=(), **values):
        """Show a workspace with *accounts* and open *incidents* (cause → number)."""
        values = {"baseline_at": NOON} | values
        listed = {account.id: account for account in accounts}
        self.workspace(Workspace(name, accounts=listed, **values), dict(incidents))

    def fill(self):
        """Let everything happen once."""
        self.show(account(), account("a2", Status.FROZEN), incidents={Cause.FROZEN: 1})
        self.requested("accounts.getAll", "ok", 0.2)
        self.polled("acme", "ok", 0.3)
        self.poll_succeeded("acme", NOON)
        self.transition(Transition("acme", "a2", Status.ACTIVE, Status.FROZEN, NOON))
        opened = {"cause": Cause.FROZEN, "event": EventType.OPENED}
        self.count(families.INCIDENTS, workspace="acme", **opened)
        self.observe(families.RECOVERY, 90, phase="active")
        self.count(families.SESSIONS_CREATED, workspace="acme", outcome="created")
        self.count(families.ATTEMPTS, receiver="ops", reason="ok")
        self.settled("ops", "opened", "delivered")
        self.observe(families.LATENCY, 0.4, receiver="ops")
        self.pending("ops", 2, NOON)
        self.transacted("write", 0.001, 0.002)
        self.count(families.UNROUTED)

    def series(self):
        """Every series of ours as (name, labels) → value, read by the client's own parser."""
        parsed = text_string_to_metric_families(page_of(self))
        ours = [family for family in parsed if family.name.startswith("linkedapi")]
        samples = [sample for family in ours for sample in family.samples]
        series = {(each.name, frozenset(each.labels.items())): each.value for each in samples}
        assert len(series) == len(samples), "a series is there twice"
        return series

    def value(self, name, /, **labels):
        return self.series().get((name, frozenset(labels.items())))

    def rewritten(self, change):
        """The texts of our chunks that *change* makes the next scrape write again."""
        before = list(self._chunks())
        change()
        written = [chunk for chunk in self._chunks() if all(chunk is not old for old in before)]
        return [text for text in map(text_of, written) if text.startswith(b"linkedapi")]


def text_of(chunk):
    return zlib.decompressobj(-zlib.MAX_WBITS).decompress(chunk[:-8])  # its tail is no text


def page_of(metrics):
    """The text of the whole page."""
    return b"".join(metrics.render()).decode()

"""The metrics of a monitor with one workspace and one receiver, scraped without HTTP."""

from prometheus_client.parser import text_string_to_metric_families

from harness.core import NOON
from monitor.core.model import Account, Cause, EventType, Status, Transition, Workspace
from monitor.metrics import Metrics, families


def account(id_="a1", status=Status.ACTIVE, **values):
    return Account(
        **{
            "workspace": "acme",
            "id": id_,
            "name": "Jane",
            "url": "https://www.linkedin.com/in/jane/",
            "country": "DE",
            "status": status,
            "raw_status": status.value,
            "since": NOON,
            "first_seen_at": NOON,
        }
        | values
    )


def workspace(*accounts, name="acme", **values):
    values = {"baseline_at": NOON, "last_good_at": NOON} | values
    return Workspace(name, accounts={account.id: account for account in accounts}, **values)


class MetricsHarness(Metrics):
    def __init__(self, *, per_account="all", account_names=True):
        super().__init__(version="1.2.3")
        self.configure(per_account=per_account, account_names=account_names)
        self.declare(workspaces=["acme"], receivers={"ops": "slack"})

    def show(self, *accounts, incidents=(), **values):
        """Show the workspace acme with *accounts* and open *incidents* (cause → number)."""
        self.workspace(workspace(*accounts, **values), dict(incidents))

    def fill(self):
        """Let everything happen once."""
        self.show(account(), account("a2", Status.FROZEN), incidents={Cause.FROZEN: 1})
        self.requested("accounts.getAll", "ok", 0.2)
        self.polled("acme", "ok", 0.3)
        self.transition(Transition("acme", "a2", Status.ACTIVE, Status.FROZEN, NOON))
        opened = {"cause": Cause.FROZEN, "event": EventType.OPENED}
        self.count(families.INCIDENTS, workspace="acme", **opened)
        self.observe(families.RECOVERY, 90, phase="active")
        self.count(families.SESSIONS_CREATED, workspace="acme", outcome="created")
        self.count(families.ATTEMPTS, receiver="ops", reason="ok")
        self.settled("ops", "opened", "delivered")
        self.observe(families.LATENCY, 0.4, receiver="ops")
        self.pending("ops", 2, NOON)
        self.count(families.UNROUTED)

    def parsed(self):
        """Every metric, read by the client's own parser."""
        return list(text_string_to_metric_families(self.render().decode()))

    def series(self):
        """Every series as (name, labels) → value."""
        samples = [sample for family in self.parsed() for sample in family.samples]
        series = {(one.name, frozenset(one.labels.items())): one.value for one in samples}
        assert len(series) == len(samples), "a series is there twice"
        return series

    def value(self, name, /, **labels):
        return self.series().get((name, frozenset(labels.items())))

    def chunks(self):
        """The chunks of our own metrics, but for the headers."""
        return [chunk for chunk in self._chunks() if not chunk.text.startswith(b"#")]

    def rewritten(self, change):
        """The texts of the chunks that *change* makes the next scrape write again."""
        before = {id(chunk): chunk for chunk in self.chunks()}
        change()
        return [chunk.text for chunk in self.chunks() if id(chunk) not in before]

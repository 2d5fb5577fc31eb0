"""One workspace polled in this process: the real client, store and poller, a simulated API."""

from contextlib import asynccontextmanager, closing
from itertools import count

from harness.core import MINUTE, NOON, make_routing, make_rules
from monitor import __version__
from monitor.core.policy import IncidentPolicy
from monitor.core.runtime import Runtime
from monitor.core.secret import Secret
from monitor.metrics import Metrics
from monitor.simulator import Assumptions, Simulator, serve
from monitor.source.client import LinkedApi, Method
from monitor.source.settings import LinkedApiSettings
from monitor.source.token import Token
from monitor.source.transport import open_http
from monitor.store import workspaces
from monitor.store.db import Store
from monitor.work.poll import Poller
from monitor.work.reconnect import Reconnector
from monitor.work.record import Recorder

TOKEN = "linked_station_token"


class PollHarness:
    """Time passes only when it is told to; each poll comes a minute after the last."""

    def __init__(self, api, http, store, simulator, *, token=None, create=False, **policy):
        self.api = api
        self.simulator = simulator
        self.store = store
        self.now = NOON
        self.seconds = 0.0
        self.numbers = count(1)
        self.metrics = Metrics(version=__version__)
        self.metrics.declare(workspaces=["acme"], receivers={"chat": "slack"})
        self.routing = make_routing({"chat": True})
        self.source = LinkedApi(
            http=http,
            token=Token(token or Secret(TOKEN)),
            settings=LinkedApiSettings(base_url=api),
            link_origins=("https://app.linkedapi.io",),
            observe=self.metrics.requested,
            monotonic=lambda: self.seconds,
            version=__version__,
        )
        runtime = Runtime(
            lambda: self.now, lambda: self.seconds, lambda: 0.0, lambda: f"{next(self.numbers):05d}"
        )
        recorder = Recorder(store, self.metrics, runtime)
        workspace, term = store.run_now(lambda tx: workspaces.attach(tx, "acme"))
        self.poller = Poller(
            workspace,
            term,
            rules=make_rules(IncidentPolicy(**policy), self.routing, create=create),
            source=self.source,
            recorder=recorder,
        )
        self.reconnector = Reconnector("acme", self.source, self.routing, create, recorder)

    def calls(self, method="accounts.getAll"):
        return sum(request.method == method for request in self.simulator.requests)

    async def poll(self, times=1, *, scheduled=True, after=MINUTE):
        """Poll so many times; return what happened as [(event, cause or detail)]."""
        events = []
        for _ in range(times):
            self.now += after
            self.seconds += after.seconds
            self.simulator.advance(after.seconds)
            decision = await self.poller.poll(scheduled=scheduled)
            events += decision.events if decision else ()
        return [(str(event.type), str(event.cause or event.detail)) for event in events]

    @property
    def metric(self):
        return self.metrics.render().decode()


@asynccontextmanager
async def poll_harness(folder, *, accounts=0, assumptions=None, **kwargs):
    """Open a harness with so many healthy accounts."""
    simulator = Simulator(assumptions or Assumptions(), seed=1)
    simulator.add_customer("acme", TOKEN)
    simulator.add_accounts("acme", accounts)
    with closing(Store.open(f"sqlite:///{folder}/monitor.db")) as store:
        async with serve(simulator) as api, open_http(LinkedApiSettings(base_url=api)) as http:
            yield PollHarness(api, http, store, simulator, **kwargs)
    assert set(simulator.request_log.counts) <= set(Method), "whatever happens, nothing is harmed"

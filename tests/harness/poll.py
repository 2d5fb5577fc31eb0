"""One workspace polled in this process: the real client, store and poller, a simulated API."""

import itertools
from contextlib import asynccontextmanager

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
        self.numbers = itertools.count(1)
        self.metrics = Metrics(version=__version__)
        self.metrics.declare(workspaces=["acme"], receivers={"chat": "slack"})
        self.token = Token(token or Secret(TOKEN))
        self.routing = make_routing({"chat": True})
        self.source = LinkedApi(
            http=http,
            token=self.token,
            settings=LinkedApiSettings(base_url=api),
            link_origins=("https://app.linkedapi.io",),
            observe=self.metrics.requested,
            monotonic=lambda: self.seconds,
            version=__version__,
        )
        runtime = Runtime(
            now=lambda: self.now,
            monotonic=lambda: self.seconds,
            jitter=lambda: 0.0,
            new_id=self.new_id,
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
        self.reconnector = Reconnector(
            "acme",
            source=self.source,
            routing=self.routing,
            create=create,
            recorder=recorder,
        )

    def new_id(self):
        return f"{next(self.numbers):05d}"

    def calls(self, method="accounts.getAll"):
        return sum(one.method == method for one in self.simulator.requests)

    async def poll(self, times=1, *, scheduled=True, after=MINUTE):
        """Poll so many times; return what happened as [(event, cause or detail)]."""
        told = []
        for _ in range(times):
            self.now += after
            self.seconds += after.seconds
            self.simulator.advance(after.seconds)
            decision = await self.poller.poll(scheduled=scheduled)
            events = decision.events if decision else ()
            told += [(str(one.type), str(one.cause or one.detail)) for one in events]
        return told

    @property
    def metric(self):
        return self.metrics.render().decode()


@asynccontextmanager
async def poll_harness(folder, *, accounts=0, assumptions=None, **kwargs):
    """Open a station with so many healthy accounts."""
    simulator = Simulator(assumptions or Assumptions(), seed=1)
    simulator.add_customer("acme", TOKEN)
    simulator.add_accounts("acme", accounts)
    store = Store.open(f"sqlite:///{folder}/monitor.db")
    try:
        async with serve(simulator) as api, open_http(LinkedApiSettings(base_url=api)) as http:
            yield PollHarness(api, http, store, simulator, **kwargs)
        methods = set(simulator.request_log.counts)
        assert methods <= set(Method), "whatever happens, nothing is harmed"
    finally:
        store.close()

"""One workspace polled in this process: the real client, store and poller, a simulated API."""

from contextlib import asynccontextmanager, closing
from dataclasses import replace
from itertools import count

from sqlalchemy import text

from harness.core import HOUR, MINUTE, NOON, make_recorder, make_routing, make_rules
from harness.leases import hold, live
from harness.store import open_store
from monitor.core.policy import IncidentPolicy
from monitor.core.secret import Secret
from monitor.net.proxy import Proxies
from monitor.simulator import Assumptions, Simulator, serve
from monitor.simulator.endpoints import get_all
from monitor.source.client import LinkedApi, Method
from monitor.source.settings import LinkedApiSettings
from monitor.source.token import Token
from monitor.source.transport import open_http
from monitor.store import sessions, workspaces
from monitor.work.liveness import write_liveness
from monitor.work.poll import Poller
from monitor.work.reconnect import Reconnector
from monitor.work.subscription import SubscriptionCheck

from .metrics import page_of

TOKEN = "linked_acme"


class PollHarness:
    """Polls the workspace `acme`; time passes by polls alone, each a minute after the last."""

    def __init__(
        self, api, http, store, simulator, *, token=None, create=False, paying=None, **policy
    ):
        self.api = api
        self.http = http
        self.simulator = simulator
        self.store = store
        self.now = NOON
        self.seconds = 0.0
        self.numbers = count(1)
        recorder = make_recorder(self, {"chat": "slack"})
        self.metrics = recorder.metrics
        self.routing = make_routing({"chat": True})
        self.source = self.make_source(token or Secret(TOKEN))
        self.recorder = recorder
        self.paying = paying  # how often to ask about the subscription
        store.run_now(live)
        rules = make_rules(IncidentPolicy(**policy), self.routing, create=create)
        self.take(rules)
        self.reconnector = Reconnector(
            "acme",
            self.poller.term,
            self.source,
            rules.policy,
            self.routing,
            create,
            HOUR,
            recorder,
        )

    def take(self, rules=None):
        """Take the workspace, as a monitor does that starts; go by the *rules* of before."""
        workspace, term = self.store.run_now(lambda tx: hold(tx, "acme", now=self.now))
        rules = rules or self.poller.rules
        self.subscription = SubscriptionCheck(
            "acme",
            term,
            source=self.source,
            policy=rules.policy,
            routing=rules.routing,
            every=self.paying,
            recorder=self.recorder,
        )
        self.poller = Poller(
            workspace,
            term,
            rules=rules,
            source=self.source,
            recorder=self.recorder,
            subscription=self.subscription,
        )

    def make_source(self, token):
        """Make a client of the simulated API for *token*, which is the harness's from now on."""
        self.token = Token(token)
        return LinkedApi(
            http=self.http,
            token=self.token,
            settings=LinkedApiSettings(base_url=self.api),
            link_origins=("https://app.linkedapi.io",),
            observe=self.metrics.requested,
            monotonic=lambda: self.seconds,
        )

    def reload(self, *, source=None, **changes):
        """Go by other rules from now on, or by another *source*."""
        rules = replace(self.poller.rules, **changes)
        self.poller.reconfigure(rules, source or self.source)

    def new_id(self):
        return f"{next(self.numbers):05d}"

    def calls(self, method="accounts.getAll"):
        return sum(request.method == method for request in self.simulator.requests)

    def listed(self):
        """The accounts as the API would list them now."""
        return get_all(self.simulator.customer("acme"), {})["accounts"]

    def recorded(self):
        """The workspace as it is recorded."""
        return self.store.run_now(lambda tx: workspaces.load(tx, "acme"))

    def session(self, id_="a1"):
        """The session that is recorded of an account."""
        return self.store.run_now(lambda tx: sessions.load(tx, "acme", id_))

    def last_good_at(self):
        statement = text("SELECT last_good_at FROM workspace WHERE name = 'acme'")
        return self.store.run_now(lambda tx: tx.execute(statement).scalar_one())

    def is_fresh(self):
        """Whether the database says that the workspace was polled lately."""
        return self.store.run_now(lambda tx: workspaces.is_fresh(tx, "acme", self.now))

    async def write_liveness(self):
        """Write the batch that is written every 15 s."""
        await write_liveness(self.recorder, [self.poller])

    async def poll(self, times=1, *, scheduled=True, after=MINUTE):
        """Poll so many times; return what happened as [(event, cause or detail)]."""
        events = []
        for _ in range(times):
            self.now += after
            self.seconds += after.seconds
            self.simulator.advance(after.seconds)
            decision = await self.poller.poll(scheduled=scheduled)
            events += decision.events if decision else ()
            decision = await self.poller.check_subscription()
            events += decision.events if decision else ()
        return [(str(event.type), str(event.cause or event.detail)) for event in events]

    @property
    def exposition(self):
        return page_of(self.metrics)


@asynccontextmanager
async def poll_harness(folder, *, accounts=1, assumptions=None, **kwargs):
    """Open a harness with so many healthy accounts: a1, a2, …"""
    simulator = Simulator(assumptions or Assumptions(), seed=1)
    simulator.add_customer("acme", TOKEN)
    for number in range(accounts):
        simulator.add_account("acme", None, id=f"a{number + 1}")
    with closing(open_store(f"sqlite:///{folder}/monitor.db")) as store:
        async with (
            serve(simulator) as api,
            open_http(LinkedApiSettings(base_url=api), Proxies({})) as http,
        ):
            yield PollHarness(api, http, store, simulator, **kwargs)
    assert set(simulator.request_log.counts) <= set(Method), "whatever happens, nothing is harmed"

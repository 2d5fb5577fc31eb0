"""Workers in this process: real store, loops and clients; a simulated API, a real HTTP receiver."""

import sqlite3
from contextlib import closing, contextmanager
from itertools import count

import httpx
import yaml
from sqlalchemy import text

from harness.core import NOON
from harness.program import WEBHOOK_SECRET
from monitor import config
from monitor.app.components import Resources
from monitor.app.holdings import Holdings
from monitor.app.lease import Lease
from monitor.app.loop_health import LoopHealth
from monitor.app.reconfigure import Reconfigurer
from monitor.app.workers import Workers
from monitor.core.duration import Duration
from monitor.core.runtime import Runtime
from monitor.net.proxy import Proxies
from monitor.schedule import Schedule
from monitor.store import workspaces

from .metrics import page_of


class WorkersHarness:
    """Configurations are applied one after another; the schedule is paused, so nothing is due."""

    def __init__(self, folder, store, clients, group, *, simulator, api, hooks, name=""):
        self.folder = folder
        self.store = store
        self.simulator = simulator
        self.api = api
        self.hook, self.hook_url = hooks
        self.now = NOON
        self.seconds = 0.0
        ids = map(f"{name}{{:05d}}".format, count())
        self.jitter = 0.0
        runtime = Runtime(
            lambda: self.now, lambda: self.seconds, lambda: self.jitter, lambda: next(ids)
        )
        self.resources = Resources(
            store, httpx.AsyncClient(verify=False), runtime, clients, Proxies({})
        )
        self.schedule = Schedule(jitter=runtime.jitter)
        self.lease = Lease(store, runtime)
        self.health = LoopHealth(runtime.monotonic)
        self.workers = Workers(runtime.now, self.schedule, group)
        self.holdings = Holdings(self.resources, self.workers, self.health, self.lease)
        self.reconfigurer = Reconfigurer(
            self.resources,
            self.workers,
            self.holdings,
            loop_health=self.health,
            lease=self.lease,
        )

    def crm(self, path="hook"):
        """A receiver of the configuration that posts to *path*."""
        url = f"{self.hook_url}/{path}"
        return f'{{name: crm, type: webhook, url: "{url}", secret: "{WEBHOOK_SECRET}"}}'

    def load(self, *names, more="", paying=False, **workspaces):
        """Read a configuration; of each of *workspaces* it says more than the name.

        *paying* is the section `subscription`.
        """
        settings = {
            "workspaces": [
                {"name": name, "token": f"linked_{name}", **extra}
                for name, extra in ({name: {} for name in names} | workspaces).items()
            ],
            "linked_api": {"base_url": self.api},
            "subscription": paying,
            "storage": {"url": f"sqlite:///{self.folder}/monitor.db"},
        }
        file = self.folder / "config.yaml"
        file.write_text(f"{yaml.safe_dump(settings)}\n{more}")
        return config.load(file, {})

    async def apply(self, *names, **settings):
        if not self.lease.held.is_set():
            await self.lease.keep()
        components = await self.reconfigurer.prepare(self.load(*names, **settings))
        await self.reconfigurer.apply(components)
        await self.balance()

    async def balance(self):
        """Take workspaces and give them back, twice: what is attached can be taken then."""
        for _ in range(2):
            await self.holdings.balance()
            await self.reconfigurer.catch_up()

    async def resume(self):
        """Undo what is left of a configuration that could not be applied, and take that again."""
        await self.reconfigurer.resume()
        await self.holdings.balance()

    async def poll(self, name):
        """Poll a workspace a minute later; return what happened as [(event, cause)]."""
        self.now += Duration.parse("1m")
        self.seconds += 60
        decision = await self.workers.workspaces[name].poller.poll()
        events = decision.events if decision else ()
        return [(str(event.type), str(event.cause)) for event in events]

    async def sign_out(self, name):
        """Poll a workspace, sign all its accounts out and poll it again."""
        await self.poll(name)
        self.simulator.sign_out(name, "*")
        assert await self.poll(name) == [("opened", "reconnection_required")] * 2

    def working(self):
        """The names of the workspaces and receivers whose loops cycle."""
        return {loop.split()[1] for loop in self.health._due}

    def scheduled(self):
        """What the schedule has of each workspace, by its name."""
        entries = self.schedule._intervals._entries
        triggers = {name: job.trigger for name, job in self.schedule._crontabs.items()}
        return dict(sorted((entries | triggers).items()))

    async def row(self, name):
        """What is recorded of a workspace: (term, detached_at), or None."""
        query = text("SELECT term, detached_at FROM workspace WHERE name = :name")
        row = await self.store.run(lambda tx: tx.execute(query, {"name": name}).one_or_none())
        return row and tuple(row)

    async def is_fresh(self, name):
        """Whether a workspace was looked at lately."""
        return await self.store.run(lambda tx: workspaces.is_fresh(tx, name, self.now))

    @property
    def metric(self):
        return page_of(self.resources.metrics)

    async def execute(self, statement):
        """Run *statement* on the store's connection: it has one as long as its thread works."""
        await self.store.run(lambda tx: tx.exec_driver_sql(statement).close())

    @contextmanager
    def locked(self):
        """Let another program hold the database's write lock."""
        with closing(sqlite3.connect(self.folder / "monitor.db", isolation_level=None)) as program:
            program.execute("BEGIN IMMEDIATE")
            yield

"""Several real monitors on one PostgreSQL, each with a line of its own to it and its own clock.

What befalls them is written down: what was being sent meanwhile may be told twice.
"""

import asyncio
import json
import signal
import sys
import time
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from sqlalchemy import text
from sqlalchemy.engine import make_url

from harness.line import line
from harness.program import WEBHOOK_SECRET, answers, free_port, running
from monitor.store.db import Store

CLOCK = Path(__file__).with_name("clock_apart.py")


@dataclass(frozen=True)
class Settings:
    """What the configurations of all have in common; each *version* has more than the former."""

    api: str
    books: dict
    every: int
    sizes: tuple
    """How many workspaces each version has; all but the first have the receiver `pager`, too."""

    def document(self, replica, version):
        """The configuration that *replica* has in this version."""
        return {
            "name": replica.name,
            "linked_api": {"base_url": self.api},
            "poll": {"every": f"{self.every}s", "jitter": "0s"},
            "incidents": {"flapping": {"changes": 100}, "group_over": 2},
            "receivers": [
                self._receiver(book, replica.name)
                for book in self.books.values()
                if version > 0 or book.name != "pager"
            ],
            "storage": {"url": replica.storage},
            "web": {"listen": f"127.0.0.1:{replica.port}"},
            "workspaces": [
                {"name": f"w{number}", "token": f"linked_{number}"}
                for number in range(self.sizes[version])
            ],
        }

    def _receiver(self, book, by):
        receiver = {"name": book.name, "url": f"{book.url}/{by}", "timeout": "3s"}
        if book.groups:
            return receiver | {"type": "slack"}
        return receiver | {"type": "webhook", "secret": WEBHOOK_SECRET}


@dataclass
class Disturbance:
    """What befell a monitor, and from when to when: *until* is None while it goes on."""

    replica: str
    kind: str
    since: float
    until: float | None = None


class Replica:
    """A monitor that is started, killed, stopped, cut off and configured again and again."""

    def __init__(self, name, folder, settings, to_database, storage):
        self.name = name
        self.file = folder / f"{name}.yaml"
        self.log = folder / f"{name}.log"
        self.line, self.storage = to_database, storage
        self.port = free_port()
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self.disturbances = []
        self.version = 0
        self._settings = settings
        self._stack = AsyncExitStack()
        self._program = None
        self.file.touch(0o600)
        self.write(0)

    def write(self, version):
        """Write a version of the configuration."""
        self.version = version
        self.file.write_text(json.dumps(self._settings.document(self, version)))

    @property
    def output(self):
        return self.log.read_text() if self.log.exists() else ""

    async def start(self, *, clock=0):
        """Start it, by a clock that is so many seconds ahead."""
        command = (sys.executable, str(CLOCK), str(clock), "run", "-c", str(self.file))
        self._program = await self._stack.enter_async_context(running(*command, log=self.log))

    async def ready(self):
        await answers(f"{self.endpoint}/readyz")

    async def stop(self):
        """Stop it as an orchestrator does."""
        code = await self._program.stop()
        await self._stack.aclose()
        assert code == 0, f"{self.name} ended with {code}"

    async def kill(self):
        self._begin("kill")
        await self._program.kill()
        await self._stack.aclose()

    async def revive(self, *, clock=0):
        await self.start(clock=clock)
        await self.ready()
        self._end()

    def freeze(self):
        self._begin("stop")
        self._program.process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self._program.process.send_signal(signal.SIGCONT)
        self._end()

    def cut(self):
        self._begin("cut")
        self.line.cut()

    def mend(self):
        self.line.mend()
        self._end()

    async def reload(self, version):
        """Let it read another version of its configuration, at once if it runs."""
        self.write(version)
        before = self.output.count("configuration reloaded")
        self._program.hang_up()
        async with asyncio.timeout(60):
            while self.output.count("configuration reloaded") == before:
                await asyncio.sleep(0.05)

    async def held(self):
        """How many workspaces it says that it holds."""
        async with httpx.AsyncClient(trust_env=False) as client:
            page = (await client.get(f"{self.endpoint}/metrics")).text
        rows = (row.split() for row in page.splitlines())
        return next(
            round(float(row[1])) for row in rows if row[:1] == ["linkedapi_workspaces_held"]
        )

    def _begin(self, kind):
        self.disturbances.append(Disturbance(self.name, kind, time.monotonic()))

    def _end(self):
        self.disturbances[-1].until = time.monotonic()

    async def close(self):
        self.line.mend()
        await self._stack.aclose()


HELD = text("""
SELECT replica.name, COUNT(*) AS count FROM workspace JOIN replica ON replica.id = workspace.holder
WHERE workspace.name <> '*' GROUP BY replica.name
""")
UNFINISHED = text("""
SELECT (SELECT COUNT(*) FROM notification WHERE settled_at IS NULL)
    + (SELECT COUNT(*) FROM incident WHERE resolved_at IS NULL)
""")


class Shares:
    """Which replica holds how many workspaces, and what is left to do, as the database has it."""

    def __init__(self, store):
        self.store = store

    @classmethod
    @asynccontextmanager
    async def of(cls, url):
        store = await asyncio.to_thread(Store.open, url)
        yield cls(store)
        store.close()

    async def read(self):
        """How many each holds that holds any, by name."""
        rows = await self.store.read(lambda tx: tx.execute(HELD).all())
        return {row.name: row.count for row in rows}

    async def until_quiet(self, within):
        """Wait until no incident is open and nothing is queued."""
        async with asyncio.timeout(within):
            while await self.store.read(lambda tx: tx.execute(UNFINISHED).scalar_one()):
                await asyncio.sleep(0.5)

    async def until_held(self, workspaces, *, without, within=60):
        """Wait until others than *without* hold all workspaces; return after how long."""
        began = time.monotonic()
        async with asyncio.timeout(within):
            while without in (shares := await self.read()) or sum(shares.values()) < workspaces:
                await asyncio.sleep(0.05)
        return time.monotonic() - began

    async def until_fair(self, workspaces, replicas, within=60):
        """Wait until each holds its share, give or take 20 %; return the shares."""
        fair = workspaces / len(replicas)
        async with asyncio.timeout(within):
            while True:
                shares = await self.read()
                are_fair = all(abs(count - fair) <= 0.2 * fair for count in shares.values())
                if sum(shares.values()) == workspaces and len(shares) == len(replicas) and are_fair:
                    return shares
                await asyncio.sleep(0.2)


@asynccontextmanager
async def replicas(folder, postgres_url, settings, names="abc"):
    """Make ready what replicas need; none is started."""
    port = make_url(postgres_url).port
    async with AsyncExitStack() as stack:
        made = []
        for name in names:
            to_database = await stack.enter_async_context(line(port))
            storage = postgres_url.replace(f":{port}/", f":{to_database.port}/")
            made.append(Replica(name, folder, settings, to_database, storage))
            stack.push_async_callback(made[-1].close)
        yield made

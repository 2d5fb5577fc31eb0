"""The real program with its configuration file, between a simulated Linked API and a receiver."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import yaml

from harness.program import Hooks, Program, answers, configure, hooks, program
from monitor.simulator import Simulator, serve


def simulated(accounts=2, *, token="linked_test_token"):
    """A simulated Linked API with one workspace and so many accounts."""
    simulator = Simulator(seed=7)
    simulator.add_customer("acme", token)
    simulator.add_accounts("acme", accounts)
    return simulator


@dataclass
class Installation:
    """What a monitor needs to run; *hook* is what it tells."""

    file: Path
    endpoint: str
    simulator: Simulator
    hook: Hooks

    def run(self, *, log="run.log", **kwargs):
        """Run the program as long as the context is open; its *log* is beside the configuration."""
        return program("run", "-c", str(self.file), log=self.file.with_name(log), **kwargs)


@asynccontextmanager
async def install(folder, simulator, **settings):
    """Serve *simulator* and a receiver, and write a configuration that names both."""
    async with serve(simulator) as api, hooks() as (hook, hook_url):
        file, endpoint = configure(folder, api=api, hooks=hook_url, **settings)
        yield Installation(file, endpoint, simulator, hook)


async def refused_start(folder, storage, **kwargs):
    """Run a monitor that cannot use its *storage*; return the one line that it says."""
    simulator = simulated()
    simulator.sign_out("acme", "*")
    async with (
        install(folder, simulator, storage=storage) as installation,
        installation.run(**kwargs) as monitor,
    ):
        assert await monitor.ended() == 1
    assert installation.hook.events == installation.hook.slack == simulator.requests == []
    (line,) = monitor.output().splitlines()
    return line


@dataclass
class RunningMonitor(Installation):
    """A running monitor."""

    program: Program

    @property
    def settings(self):
        return yaml.safe_load(self.file.read_text())

    async def reload(self, *, logs="configuration reloaded", **changes):
        """Change sections of the file (None: leave it out); wait for what the log says of it."""
        settings = {k: v for k, v in {**self.settings, **changes}.items() if v is not None}
        self.file.write_text(yaml.safe_dump(settings))
        before = self.program.output().count(logs)
        self.program.hang_up()
        await self.program.until_logged(logs, times=before + 1)

    async def until_metric(self, line):
        async with asyncio.timeout(20), httpx.AsyncClient(verify=False) as client:
            while line not in (await client.get(f"{self.endpoint}/metrics")).text:
                await asyncio.sleep(0.05)

    async def until_told(self, count):
        """Wait until the webhook was told so much."""
        await self.hook.wait(lambda: len(self.hook.events) == count)

    def told(self):
        """What the webhook was told: (workspace, account, event, resolution)."""
        return [
            (
                event["data"]["workspace"],
                event["data"]["account"]["name"],
                event["type"].removeprefix("incident."),
                event["data"]["incident"]["resolution"],
            )
            for event in self.hook.events
        ]


@asynccontextmanager
async def running_monitor(folder, simulator, *, env=None):
    """Run a monitor; it must end well when the context is left."""
    async with install(folder, simulator) as installation:
        async with installation.run(env=env) as process:
            await answers(f"{installation.endpoint}/readyz")
            await process.until_logged("first look")
            yield RunningMonitor(**vars(installation), program=process)
            assert await process.stop() == 0
        assert "unexpectedly" not in process.output()
        assert "Traceback" not in process.output()

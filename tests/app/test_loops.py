"""The monitor as one task group, in this process: real store, clients and receiver."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace

from harness.program import until

from monitor import app
from monitor.app.process import REAL
from monitor.core.duration import Duration

HERE = "web: {listen: '127.0.0.1:0'}"


@asynccontextmanager
async def running(config, runtime=REAL, **options):
    """Run a monitor for as long as the context is open."""
    async with app.opened(config, runtime, **options) as monitor:
        task = asyncio.create_task(monitor.run())
        try:
            yield monitor
        finally:
            monitor.stop()
            await asyncio.wait_for(task, 20)


async def test_after_the_host_was_suspended_everything_is_polled_at_once(harness):
    suspended = 0
    config = harness.load(
        "acme", more=f"{HERE}\npoll: {{every: 6h}}\nreceivers: [{harness.chat()}]"
    )
    async with running(config, replace(REAL, now=lambda: REAL.now() + suspended)):
        await until(lambda: harness.simulator.requests)
        harness.simulator.sign_out("acme", "*")
        assert len(harness.simulator.requests) == 1

        suspended = Duration.parse("8h")

        await harness.hook.wait(lambda: harness.hook.slack, patience=10)

"""The monitor as one task group, in this process."""

import asyncio
from contextlib import asynccontextmanager

from sqlalchemy import text

from monitor.app import operations
from monitor.app.process import REAL

HERE = "web: {listen: '127.0.0.1:0'}"


@asynccontextmanager
async def running(config, runtime=REAL, **options):
    """Run a monitor for as long as the context is open."""
    async with operations.opened(config, runtime, **options) as monitor:
        task = asyncio.create_task(monitor.run())
        try:
            yield monitor
        finally:
            monitor.stop()
            await asyncio.wait_for(task, 20)


def select(query):
    return lambda tx: tx.execute(text(query)).scalars().all()


def events(logs):
    return [entry["event"] for entry in logs]

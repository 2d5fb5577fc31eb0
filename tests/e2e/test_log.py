"""Where the log of the real program goes is no matter of life and death."""

import asyncio
import os
from contextlib import suppress

import pytest
from harness.program import answers
from harness.running_monitor import install, simulated


def stuck(fifo):
    """A pipe that is full, and that nobody reads."""
    end = os.open(fifo, os.O_RDWR | os.O_NONBLOCK)
    with suppress(BlockingIOError):
        while True:
            os.write(end, b"\n" * 4096)
    return lambda: os.close(end)


def left(fifo):
    """A pipe whose reader goes away as soon as the monitor has begun."""
    end = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    asyncio.get_running_loop().call_later(0.5, os.close, end)
    return lambda: None


WHERE = {"2> fifo": stuck, "2> fifo ": left, "2>&-": None}


@pytest.mark.parametrize("redirection", WHERE, ids=["stuck", "left", "closed"])
async def test_a_log_that_nobody_reads_stops_nothing(tmp_path, redirection):
    fifo, open_reader = tmp_path / "fifo", WHERE[redirection]
    os.mkfifo(fifo)
    close_reader = open_reader(fifo) if open_reader else lambda: None
    command = f'exec "$0" "$@" {redirection.replace("fifo", str(fifo))}'
    async with install(tmp_path, simulated()) as installation:
        hook, endpoint = installation.hook, installation.endpoint
        async with installation.run(through=("sh", "-c", command)) as monitor:
            await answers(f"{endpoint}/readyz")
            installation.simulator.sign_out("acme", "*")
            await hook.wait(lambda: len(hook.events) == 2)
            await answers(f"{endpoint}/healthz")
            monitor.hang_up()
            installation.simulator.recover("acme", "*")
            await hook.wait(lambda: len(hook.events) == 4)

            async with asyncio.timeout(20):
                assert await monitor.stop() == 0
    close_reader()

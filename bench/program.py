"""The real program in one process, the simulated Linked API in another. Needs Linux's /proc."""

import asyncio
import os
import signal
import socket
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx

from . import machine

TIMEOUT: Final = 300.0
"""Seconds that anything may take."""

ROOT: Final = Path(__file__).parents[1]

SETTINGS: Final = """\
linked_api: {{base_url: "{api}"}}
poll: {{every: {every}, jitter: {jitter}}}
receivers:
  - {{name: crm, type: webhook, url: "{hook}", secret: whsec_YSBiZW5jaG1hcmsncyBvd24gc2VjcmV0}}
{more}storage: {{url: "{storage}"}}
web: {{listen: "127.0.0.1:{port}"}}
workspaces:
"""


@dataclass(frozen=True, slots=True)
class SimulatedApi:
    """A simulated Linked API: where it is, and its process."""

    address: str
    process: Process


@asynccontextmanager
async def simulated(
    customers: int, accounts: int, *, frozen: bool = False
) -> AsyncIterator[SimulatedApi]:
    """Run a simulated Linked API."""
    frozen_argument = ["frozen"] if frozen else []
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.simulated", str(customers), str(accounts)),
        *frozen_argument,
        stdin=PIPE,
        stdout=PIPE,
        cwd=ROOT,
    )
    assert process.stdout
    try:
        address = (await asyncio.wait_for(process.stdout.readline(), TIMEOUT)).decode().strip()
        yield SimulatedApi(address, process)
    finally:
        assert process.stdin
        process.stdin.close()
        await process.wait()


@dataclass(frozen=True, slots=True)
class Monitor:
    """A running monitor, as it is seen from outside."""

    process: Process
    client: httpx.AsyncClient
    ready_after: float

    def cpu(self) -> float:
        """Return the processor seconds that it has used, those of the kernel for it included."""
        return machine.cpu(self.process.pid)

    def memory(self) -> tuple[int, int]:
        """Return its resident memory and the peak of it, in MB."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8").splitlines()
        fields = dict(line.split(":", 1) for line in lines)
        return int(fields["VmRSS"].split()[0]) // 1024, int(fields["VmHWM"].split()[0]) // 1024

    async def scrape(self) -> Mapping[str, float]:
        """Return the values of all series."""
        lines = (await self.client.get("/metrics")).text.splitlines()
        parts = (line.rpartition(" ") for line in lines if not line.startswith("#"))
        return {series: float(value) for series, _, value in parts}


@asynccontextmanager
async def monitor(
    folder: Path,
    *,
    api: SimulatedApi,
    workspaces: int,
    hook: str,
    every: str,
    jitter: str = "5s",
    more: str = "",
    storage: str | None = None,
    root: Path = ROOT,
) -> AsyncIterator[Monitor]:
    """Run a monitor of so many workspaces until the context ends; *root* has the program.

    *more* are further receivers of the configuration, and what else it says. *storage* is the
    address of its database, which else is a file in *folder*.
    """
    text = SETTINGS.format(
        api=api.address,
        every=every,
        jitter=jitter,
        hook=hook,
        more=more,
        storage=storage or f"sqlite:///{folder}/monitor.db",
        port=(port := _free_port()),
    )
    file = _write_config(folder, text, workspaces)
    environment = {name: value for name, value in os.environ.items() if "LINKED" not in name}
    started = time.perf_counter()
    with (folder / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "monitor", "run", "-c", str(file)),
            stdin=DEVNULL,
            stdout=log,
            stderr=log,
            cwd=root,
            env=environment,
        )
    try:
        address = f"http://127.0.0.1:{port}"
        async with httpx.AsyncClient(base_url=address, trust_env=False, timeout=TIMEOUT) as client:
            await _wait_until_ready(client, process)
            yield Monitor(process, client, time.perf_counter() - started)
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await process.wait()


async def _wait_until_ready(client: httpx.AsyncClient, process: Process) -> None:
    async with asyncio.timeout(TIMEOUT):
        while process.returncode is None:
            try:
                if (await client.get("/readyz")).is_success:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.01)
    raise RuntimeError("the monitor has ended")


def _write_config(folder: Path, text: str, workspaces: int) -> Path:
    folder.mkdir(exist_ok=True)
    lines = (f"  - {{name: c{number}, token: linked_{number}}}\n" for number in range(workspaces))
    file = folder / "config.yaml"
    file.write_text(text + "".join(lines), encoding="utf-8")
    return file


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port: int = sock.getsockname()[1]
        return port

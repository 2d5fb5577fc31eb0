"""The time from the sign-out of an account to the webhook about it."""

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from statistics import mean, median, quantiles
from typing import Any, Final

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from monitor.app import process
from monitor.core.model import Micros
from monitor.web.server import bind, serve
from monitor.web.settings import WebSettings

from .program import TIMEOUT, monitor, simulated
from .table import Row

ACCOUNTS: Final = 1000
INTERVAL: Final = 1.0
_GOLDEN_RATIO: Final = 0.618034
"""Steps of this size spread over the interval evenly, however many they are."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A message that has arrived: *at* is when on the clock that measures, *now* the time then."""

    id: str
    at: float
    now: Micros


def rows(*, quick: bool) -> Sequence[Row]:
    """Measure all of it."""
    return asyncio.run(_measure(10 if quick else 24))


async def _measure(changes: int) -> Sequence[Row]:
    with tempfile.TemporaryDirectory(prefix="linkedapi-monitor-bench-") as folder:
        async with (
            webhook() as (arrivals, hook),
            simulated(1, ACCOUNTS) as api,
            monitor(
                Path(folder) / "0", api=api, workspaces=1, hook=hook, every="1s", jitter="0s"
            ) as running,
            httpx.AsyncClient(
                base_url=f"{api.address}/control/", trust_env=False, timeout=60
            ) as control,
        ):
            async with asyncio.timeout(TIMEOUT):
                while not (await running.scrape())['linkedapi_workspace_up{workspace="c0"}']:
                    await asyncio.sleep(0.1)
            state = (await control.get("state")).json()["result"]
            ids = [account["id"] for account in state["customers"][0]["accounts"]]
            delays = [
                await _change(control, arrivals, id_, (number * _GOLDEN_RATIO) % INTERVAL)
                for number, id_ in enumerate(ids[:changes])
            ]
    from_change, from_poll = zip(*delays, strict=True)
    return [
        Row(
            f"sign_out → webhook, 1 of {ACCOUNTS:,} accounts, polled every second",
            _spread(from_change),
            mean(from_change) / (INTERVAL / 2),
            beside=f"the interval alone: mean {INTERVAL * 500:.0f} ms; {changes} changes",
        ),
        Row("from the arrival of the poll that sees it to the webhook", _spread(from_poll)),
    ]


async def _change(
    control: httpx.AsyncClient, arrivals: asyncio.Queue[Arrival], id_: str, wait: float
) -> tuple[float, float]:
    """Sign an account out after *wait* seconds.

    Return the seconds until the webhook: from then, and from the next poll.
    """
    await asyncio.sleep(wait)
    started, changed_at = time.perf_counter(), process.now()
    await control.post("sign_out", json={"customer": "c0", "account": id_})
    arrival = await asyncio.wait_for(arrivals.get(), TIMEOUT)
    requests = (await control.get("requests")).json()["result"]["requests"]
    polls = [
        _micros(request["at"]) for request in requests if request["method"] == "accounts.getAll"
    ]
    polled_at = min(at for at in polls if at > changed_at)
    return arrival.at - started, (arrival.now - polled_at) / 1e6


def _micros(iso_time: str) -> int:
    return round(datetime.fromisoformat(iso_time).timestamp() * 1e6)


def _spread(times: Sequence[float]) -> str:
    slow = quantiles(times, n=20, method="inclusive")[-1]
    figures = {"median": median(times), "min": min(times), "95 %": slow, "mean": mean(times)}
    return ", ".join(f"{name} {figure * 1000:.0f}" for name, figure in figures.items()) + " ms"


@asynccontextmanager
async def webhook() -> AsyncIterator[tuple[asyncio.Queue[Arrival], str]]:
    """Serve a webhook; give the queue of the openings that have arrived, and its URL."""
    arrivals: asyncio.Queue[Arrival] = asyncio.Queue()

    async def receive(request: Request) -> Response:
        arrival = Arrival(request.headers["webhook-id"], time.perf_counter(), process.now())
        payload: Any = await request.json()
        if payload["type"] == "incident.opened":
            arrivals.put_nowait(arrival)
        return Response()

    stopping = asyncio.Event()
    sock = bind(WebSettings(listen="127.0.0.1:0"))
    routes = [Route("/", receive, methods=["POST"])]
    serving = asyncio.create_task(serve(Starlette(routes=routes), sock, stopping=stopping))
    try:
        yield arrivals, f"http://127.0.0.1:{sock.getsockname()[1]}/"
    finally:
        stopping.set()
        await serving

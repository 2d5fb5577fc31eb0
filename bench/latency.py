"""From the moment when an account is signed out to the webhook that tells of it."""

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from statistics import mean, median, quantiles
from typing import Any, Final

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from monitor import app
from monitor.web.server import bind, serve
from monitor.web.settings import WebSettings

from .program import PATIENCE, monitor, simulated
from .table import Row

ACCOUNTS: Final = 1000
INTERVAL: Final = 1.0
_GOLDEN: Final = 0.618034
"""Steps of this size spread over the interval evenly, however many they are."""


def rows(*, quick: bool) -> Sequence[Row]:
    """Measure all of it."""
    return asyncio.run(_measure(10 if quick else 24))


async def _measure(changes: int) -> Sequence[Row]:
    with tempfile.TemporaryDirectory(prefix="linkedapi-monitor-bench-") as folder:
        async with (
            _hook() as (came, hook),
            simulated(1, ACCOUNTS) as api,
            monitor(
                Path(folder) / "0", api=api, workspaces=1, hook=hook, every="1s", jitter="0s"
            ) as running,
            httpx.AsyncClient(base_url=f"{api}/control/", trust_env=False, timeout=60) as control,
        ):
            async with asyncio.timeout(PATIENCE):
                while not (await running.scrape())['linkedapi_workspace_up{workspace="c0"}']:
                    await asyncio.sleep(0.1)
            state = (await control.get("state")).json()["result"]
            ids = [one["id"] for one in state["customers"][0]["accounts"]]
            took = [
                await _change(control, came, id_, (number * _GOLDEN) % INTERVAL)
                for number, id_ in enumerate(ids[:changes])
            ]
    whole, after = [one for one, _ in took], [one for _, one in took]
    return [
        Row(
            f"sign_out → webhook, 1 of {ACCOUNTS:,} accounts, polled every second",
            _spread(whole),
            mean(whole) / (INTERVAL / 2),
            beside=f"the interval alone: mean {INTERVAL * 500:.0f} ms; {changes} changes",
        ),
        Row("from the arrival of the poll that sees it to the webhook", _spread(after)),
    ]


async def _change(
    control: httpx.AsyncClient, came: asyncio.Queue[tuple[float, int]], id_: str, wait: float
) -> tuple[float, float]:
    """Sign an account out after a while; return the seconds from then, and from the next poll."""
    await asyncio.sleep(wait)
    started, known = time.perf_counter(), app.now()
    await control.post("sign_out", json={"customer": "c0", "account": id_})
    told, told_at = await asyncio.wait_for(came.get(), PATIENCE)
    requests = (await control.get("requests")).json()["result"]["requests"]
    polls = [_micros(one["at"]) for one in requests if one["method"] == "accounts.getAll"]
    listed = min(at for at in polls if at > known)
    return told - started, (told_at - listed) / 1e6


def _micros(moment: str) -> int:
    return round(datetime.fromisoformat(moment).timestamp() * 1e6)


def _spread(times: Sequence[float]) -> str:
    late = quantiles(times, n=20, method="inclusive")[-1]
    figures = {"median": median(times), "min": min(times), "95 %": late, "mean": mean(times)}
    return ", ".join(f"{name} {one * 1000:.0f}" for name, one in figures.items()) + " ms"


@asynccontextmanager
async def _hook() -> AsyncIterator[tuple[asyncio.Queue[tuple[float, int]], str]]:
    """Serve the address of a webhook; give the times at which something came."""
    came: asyncio.Queue[tuple[float, int]] = asyncio.Queue()

    async def take(request: Request) -> Response:
        at = time.perf_counter(), app.now()
        payload: Any = await request.json()
        if payload["type"] == "incident.opened":
            came.put_nowait(at)
        return Response()

    stopping = asyncio.Event()
    sock = bind(WebSettings(listen="127.0.0.1:0"))
    routes = [Route("/", take, methods=["POST"])]
    serving = asyncio.create_task(serve(Starlette(routes=routes), sock, stopping=stopping))
    try:
        yield came, f"http://127.0.0.1:{sock.getsockname()[1]}/"
    finally:
        stopping.set()
        await serving

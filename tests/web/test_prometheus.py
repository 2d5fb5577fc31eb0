"""A real Prometheus scrapes the real endpoint."""

import asyncio
import shutil
from contextlib import asynccontextmanager

import httpx
import pytest
from harness.full_stack import running
from harness.metrics import account
from harness.program import MAX_WAIT, answers, free_port

from monitor.core.model import Status

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not shutil.which("prometheus"), reason="prometheus is not installed"),
]

CONFIG = """
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
  - job_name: monitor
    static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""


@asynccontextmanager
async def prometheus(folder, target):
    """Run a Prometheus that scrapes the port *target*; give a client of its API."""
    port = free_port()
    (folder / "prometheus.yml").write_text(CONFIG.format(port=target))
    command = (
        "prometheus",
        f"--config.file={folder}/prometheus.yml",
        f"--storage.tsdb.path={folder}/data",
        f"--web.listen-address=127.0.0.1:{port}",
    )
    base = f"http://127.0.0.1:{port}"
    async with (
        running(*command, log=folder / "prometheus.log"),
        httpx.AsyncClient(base_url=f"{base}/api/v1/", trust_env=False) as client,
    ):
        await answers(f"{base}/-/ready")
        yield client


async def value(client, query):
    """The value of *query*, once it has one."""
    async with asyncio.timeout(MAX_WAIT):
        while True:
            answer = (await client.get("query", params={"query": query})).raise_for_status()
            if result := answer.json()["data"]["result"]:
                return float(result[0]["value"][1])
            await asyncio.sleep(0.05)


async def test_prometheus_reads_a_page_of_many_compressed_pieces(endpoint, tmp_path):
    names = [f"customer-{number}" for number in range(20)]
    endpoint.metrics.declare(workspaces=names, receivers={})
    for name in names:
        frozen = account(f"{name}-frozen", Status.FROZEN)
        active = (account(f"{name}-{n}", name="Zoë") for n in range(149))
        endpoint.metrics.show(frozen, *active, name=name)

    async with endpoint.served() as client, prometheus(tmp_path, endpoint.address[1]) as server:
        page = await client.get("/metrics", headers={"Accept-Encoding": "identity"})
        series = sum(not line.startswith("#") for line in page.text.splitlines())

        assert await value(server, "count(linkedapi_account_info)") == 3000
        assert await value(server, 'count(linkedapi_account_status{status="frozen"})') == 20
        assert await value(server, "scrape_samples_scraped") == series
        assert await value(server, "max_over_time(up[1m])") == 1

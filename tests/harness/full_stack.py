"""The full stack, with what is shipped in deploy: simulator, monitor, Prometheus, Alertmanager."""

import shutil
import time
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import yaml

from harness.dashboards import TimeRange
from harness.program import Hooks, Program, answers, configure, free_port, hooks, program, running

DEPLOY = Path(__file__).parents[2] / "deploy"
PROGRAMS = ("prometheus", "prometheus-alertmanager", "promtool")
SCRAPE_EVERY = 1
"""Seconds between scrapes, evaluations of rules and messages of Alertmanager."""

WORKSPACES = ("acme", "globex", "initech")


def missing_program():
    """Return which of the real programs is not installed, if any."""
    return next((name for name in PROGRAMS if not shutil.which(name)), None)


@dataclass
class FullStack:
    """Real programs and a simulated Linked API.

    *crm* and *chat* are what the monitor sends to, *pager* what Alertmanager sends to.
    """

    crm: Hooks
    chat: Hooks
    pager: Hooks
    control: httpx.AsyncClient
    prometheus: httpx.AsyncClient
    monitor: Program
    started_at: float

    async def simulate(self, action, workspace="acme", **parameters):
        """Let *action* of the simulator happen in *workspace*; return its result."""
        body = {"customer": workspace, **parameters}
        response = await self.control.post(f"/{action}", json=body)
        assert response.is_success, response.text
        return response.json()["result"]

    def time_range(self):
        """Return the time since the start, as Grafana would look at it."""
        end = now()
        seconds = max(1, round(end - self.started_at))
        return TimeRange(end=end, seconds=seconds, step=SCRAPE_EVERY, scrape_interval=SCRAPE_EVERY)

    async def query(self, expr):
        """Return the present series of *expr*, as Prometheus answers."""
        return await self._get("query", {"query": expr})

    async def query_panel(self, query):
        """Return the series of *query* of a dashboard, over the time since the start."""
        time_range = self.time_range()
        expr = time_range.interpolate(query.expr)
        if query.is_instant:
            return await self.query(expr)
        bounds = {"start": time_range.start, "end": time_range.end, "step": time_range.step}
        return await self._get("query_range", {"query": expr, **bounds})

    async def has_number(self, query):
        """Return whether *query* of a dashboard has a series with a number by now."""
        result = await self.query_panel(query)
        points = (series.get("values") or [series["value"]] for series in result)
        return any(value != "NaN" for values in points for _, value in values)

    async def _get(self, path, params):
        body = (await self.prometheus.get(f"/api/v1/{path}", params=params)).json()
        assert body["status"] == "success", (params, body.get("error"))
        return body["data"]["result"]


def now():
    return time.time()  # noqa: TID251 - Prometheus answers for the time of this machine


def write_prometheus_config(folder, addresses):
    """Copy what is shipped for Prometheus, with short intervals and other *addresses*.

    Nothing waits longer than SCRAPE_EVERY. Expressions, labels and texts are untouched.
    """
    shutil.copytree(DEPLOY / "prometheus", folder / "prometheus")
    file = folder / "prometheus/prometheus.yml"
    config = yaml.safe_load(file.read_text())
    interval = f"{SCRAPE_EVERY}s"
    config["global"] = {"scrape_interval": interval, "evaluation_interval": interval}
    text = yaml.safe_dump(config)
    for shipped, address in addresses.items():
        assert shipped in text
        text = text.replace(shipped, address)
    file.write_text(text)
    for file in (folder / "prometheus/rules").iterdir():
        rules = yaml.safe_load(file.read_text())
        for rule in (rule for group in rules["groups"] for rule in group["rules"]):
            rule.update({key: interval for key in ("for", "keep_firing_for") if key in rule})
        file.write_text(yaml.safe_dump(rules))


def write_monitor_config(folder, api, crm_url, chat_url):
    """Configure a monitor of all workspaces; return its file and the address of its endpoint."""
    (folder / "metrics-token").write_text("what-prometheus-has-to-show\n")
    file, endpoint = configure(folder, api=api, hooks=crm_url)
    config = yaml.safe_load(file.read_text())
    config["workspaces"] = [{"name": name, "token": f"linked_{name}"} for name in WORKSPACES]
    config["web"]["metrics_token_file"] = "metrics-token"
    config["receivers"][0]["url"] = f"{chat_url}/slack"
    file.write_text(
        yaml.safe_dump(config | {"fallback": "crm", "incidents": {"blind_after": "5s"}})
    )
    return file, endpoint


def write_alertmanager_config(folder, slack_url):
    """Copy what is shipped for Alertmanager, with short intervals; it sends to *slack_url*."""
    config = yaml.safe_load((DEPLOY / "alertmanager/alertmanager.yml").read_text())
    interval = f"{SCRAPE_EVERY}s"
    for route in (config["route"], *config["route"]["routes"]):
        route.update({key: interval for key in ("group_wait", "group_interval") if key in route})
    (folder / "slack-url").write_text(slack_url)
    for receiver in config["receivers"]:
        for slack in receiver["slack_configs"]:
            slack["api_url_file"] = str(folder / "slack-url")
    (folder / "alertmanager.yml").write_text(yaml.safe_dump(config))


def running_alertmanager(folder, address, slack_url):
    """Run Alertmanager at *address*, as it is configured in deploy; it sends to *slack_url*."""
    write_alertmanager_config(folder, slack_url)
    return running(
        "prometheus-alertmanager",
        f"--config.file={folder}/alertmanager.yml",
        f"--storage.path={folder}/alerts",
        f"--web.listen-address={address}",
        "--cluster.listen-address=",
        log=folder / "alertmanager.log",
    )


@asynccontextmanager
async def full_stack(folder):
    """Start everything, with its files in *folder*; it ends with the context."""
    api, prometheus, alertmanager = (f"127.0.0.1:{free_port()}" for _ in range(3))
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        (crm, crm_url), (chat, chat_url), (pager, pager_url) = [
            await enter(hooks()) for _ in range(3)
        ]
        simulate = ("simulate", "--port", api.rpartition(":")[2], "--accounts", "0")
        await enter(program(*simulate, log=folder / "simulate.log"))
        control = await enter(httpx.AsyncClient(base_url=f"http://{api}/control"))
        await answers(f"http://{api}/control/state")
        for name in WORKSPACES:
            customer = {"name": name, "token": f"linked_{name}"}
            assert (await control.post("/add_customer", json=customer)).is_success

        file, monitor_url = write_monitor_config(folder, f"http://{api}", crm_url, chat_url)
        monitor = monitor_url.removeprefix("http://")
        write_prometheus_config(
            folder,
            {
                "monitor:9464": monitor,
                "alertmanager:9093": alertmanager,
                "/run/secrets/metrics-token": f"{folder}/metrics-token",
            },
        )
        started_at = now()
        await enter(running_alertmanager(folder, alertmanager, f"{pager_url}/slack"))
        await enter(
            running(
                "prometheus",
                f"--config.file={folder}/prometheus/prometheus.yml",
                f"--storage.tsdb.path={folder}/series",
                f"--web.listen-address={prometheus}",
                log=folder / "prometheus.log",
            )
        )
        process = await enter(program("run", "-c", str(file), log=folder / "run.log"))
        await answers(f"http://{prometheus}/-/ready")
        await answers(f"{monitor_url}/readyz")
        client = await enter(httpx.AsyncClient(base_url=f"http://{prometheus}"))
        yield FullStack(crm, chat, pager, control, client, process, started_at)

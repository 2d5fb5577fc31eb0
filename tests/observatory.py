"""The whole chain, with what is shipped in deploy: simulator, monitor, Prometheus, Alertmanager."""

import asyncio
import shutil
import time
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import yaml
from dashboards import TimeRange
from program import PATIENCE, WEBHOOK_SECRET, Hooks, Program, answers, free_port, hooks, program

DEPLOY = Path(__file__).parents[1] / "deploy"
PROGRAMS = ("prometheus", "prometheus-alertmanager", "promtool")

WORKSPACES = ("acme", "globex", "initech")
CONFIG = """
workspaces:
  - {{name: acme, token: linked_acme}}
  - {{name: globex, token: linked_globex}}
  - {{name: initech, token: linked_initech}}
linked_api: {{base_url: "{api}"}}
poll: {{every: {every}s, jitter: 0s}}
incidents: {{blind_after: {blind_after}s}}
receivers:
  - {{name: crm, type: webhook, url: "{own}/hook", secret: "{secret}"}}
  - {{name: team-chat, type: slack, url: "{chat}/slack"}}
fallback: crm
storage: {{url: "sqlite:///{folder}/monitor.db"}}
web: {{listen: "127.0.0.1:{port}"}}
"""


def missing():
    """Return which of the real programs is not there, if any."""
    return next((name for name in PROGRAMS if not shutil.which(name)), None)


@dataclass(kw_only=True)
class Observatory:
    """Everything at work. *own* and *chat* are the monitor's receivers, *pager* Alertmanager's."""

    own: Hooks
    chat: Hooks
    pager: Hooks
    endpoint: str
    monitor: Program
    control: httpx.AsyncClient
    prometheus: httpx.AsyncClient
    scrape: int
    started_at: float

    async def act(self, action, workspace="acme", **parameters):
        """Let something happen to the simulated accounts of *workspace* (None: to all)."""
        body = {"customer": workspace, **parameters}
        answer = await self.control.post(f"/{action}", json=body)
        assert answer.is_success, answer.text
        return answer.json()["result"]

    def span(self):
        """Return the time since the start, as Grafana would look at it."""
        end = now()
        seconds = max(1, round(end - self.started_at))
        return TimeRange(end=end, seconds=seconds, step=self.scrape, scrape_interval=self.scrape)

    async def ask(self, expr, span=None):
        """Return what Prometheus answers: over *span*, or at present."""
        if span is None:
            answer = await self.prometheus.get("/api/v1/query", params={"query": expr})
        else:
            over = {"start": span.start, "end": span.end, "step": span.step}
            answer = await self.prometheus.get("/api/v1/query_range", params={"query": expr} | over)
        said = answer.json()
        assert said["status"] == "success", (expr, said.get("error"))
        return said["data"]["result"]

    async def has_answer(self, query):
        """Return whether *query* of a dashboard has a series with a number by now."""
        span = self.span()
        expr = span.interpolate(query.expr)
        series = await self.ask(expr, None if query.is_instant else span)
        numbers = (value for one in series for _, value in one.get("values") or [one["value"]])
        return any(value != "NaN" for value in numbers)


def now():
    return time.time()  # noqa: TID251 - Prometheus answers for the time of this machine


def hurried(folder, *, addresses, pager, scrape):
    """Copy what is shipped for Prometheus and Alertmanager, in a hurry and at *addresses*.

    Scrapes, evaluations and groups come every *scrape* seconds and what an alert waits for (`for`,
    `keep_firing_for`) takes no longer. Expressions, labels, texts and routes are untouched.
    """
    shutil.copytree(DEPLOY / "prometheus", folder / "prometheus")
    soon = f"{scrape}s"
    config = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text())
    config["global"] = {"scrape_interval": soon, "evaluation_interval": soon}
    text = yaml.safe_dump(config)
    for service, address in addresses.items():
        assert service in text
        text = text.replace(service, address)
    (folder / "prometheus/prometheus.yml").write_text(text)
    for file in (folder / "prometheus/rules").iterdir():
        rules = yaml.safe_load(file.read_text())
        for rule in (rule for group in rules["groups"] for rule in group["rules"]):
            rule.update({key: soon for key in ("for", "keep_firing_for") if key in rule})
        file.write_text(yaml.safe_dump(rules))

    alerts = yaml.safe_load((DEPLOY / "alertmanager/alertmanager.yml").read_text())
    for route in (alerts["route"], *alerts["route"]["routes"]):
        route.update({key: soon for key in ("group_wait", "group_interval") if key in route})
    (folder / "slack-url").write_text(f"{pager}/slack")
    for slack in (one for receiver in alerts["receivers"] for one in receiver["slack_configs"]):
        slack["api_url_file"] = str(folder / "slack-url")
    (folder / "alertmanager.yml").write_text(yaml.safe_dump(alerts))


@asynccontextmanager
async def running(*command, log):
    """Run *command*; its process ends with the context."""
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(*command, stdout=output, stderr=output)
    try:
        yield
    finally:
        if process.returncode is None:
            process.terminate()
        async with asyncio.timeout(PATIENCE):
            await process.wait()


@asynccontextmanager
async def observatory(folder, *, scrape=1, every=1, blind_after=5):
    """Start everything; it scrapes every *scrape* seconds what polls every *every* seconds."""
    api_port, port, prometheus_port, alertmanager_port = (free_port() for _ in range(4))
    api, endpoint = f"http://127.0.0.1:{api_port}", f"http://127.0.0.1:{port}"
    addresses = {
        "monitor:9464": f"127.0.0.1:{port}",
        "alertmanager:9093": f"127.0.0.1:{alertmanager_port}",
    }
    async with AsyncExitStack() as stack:
        own, own_url = await stack.enter_async_context(hooks())
        chat, chat_url = await stack.enter_async_context(hooks())
        pager, pager_url = await stack.enter_async_context(hooks())
        simulate = ("simulate", "--port", str(api_port), "--accounts", "0")
        await stack.enter_async_context(program(*simulate, log=folder / "simulate.log"))
        control = await stack.enter_async_context(httpx.AsyncClient(base_url=f"{api}/control"))
        await answers(f"{api}/control/state")
        for name in WORKSPACES:
            customer = {"name": name, "token": f"linked_{name}"}
            assert (await control.post("/add_customer", json=customer)).is_success

        hurried(folder, addresses=addresses, pager=pager_url, scrape=scrape)
        (folder / "config.yaml").write_text(
            CONFIG.format(
                api=api,
                own=own_url,
                chat=chat_url,
                folder=folder,
                port=port,
                every=every,
                blind_after=blind_after,
                secret=WEBHOOK_SECRET,
            )
        )
        started_at = now()
        await stack.enter_async_context(
            running(
                "prometheus-alertmanager",
                f"--config.file={folder}/alertmanager.yml",
                f"--storage.path={folder}/alerts",
                f"--web.listen-address={addresses['alertmanager:9093']}",
                "--cluster.listen-address=",
                log=folder / "alertmanager.log",
            )
        )
        await stack.enter_async_context(
            running(
                "prometheus",
                f"--config.file={folder}/prometheus/prometheus.yml",
                f"--storage.tsdb.path={folder}/series",
                f"--web.listen-address=127.0.0.1:{prometheus_port}",
                log=folder / "prometheus.log",
            )
        )
        run = ("run", "-c", str(folder / "config.yaml"))
        monitor = await stack.enter_async_context(program(*run, log=folder / "run.log"))
        prometheus = f"http://127.0.0.1:{prometheus_port}"
        await answers(f"{prometheus}/-/ready")
        await answers(f"{endpoint}/readyz")
        client = await stack.enter_async_context(httpx.AsyncClient(base_url=prometheus))
        yield Observatory(
            own=own,
            chat=chat,
            pager=pager,
            endpoint=endpoint,
            monitor=monitor,
            control=control,
            prometheus=client,
            scrape=scrape,
            started_at=started_at,
        )

"""The demonstration."""

import asyncio
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from monitor import config
from monitor.app import operations, process
from monitor.app.loops import App
from monitor.core.errors import MonitorError
from monitor.net import loop
from monitor.net.proxy import Proxies
from monitor.simulator import Simulator, login, play, serve
from monitor.web.server import bind
from monitor.web.server import serve as serve_endpoint
from monitor.web.settings import WebSettings

from .log import configure_log

PORT: Final = 9464

ACCOUNTS: Final = ("Jane Doe", "John Smith", "Ana García", "Li Wei", "Noor Haddad", "Tom Müller")

CONFIG: Final = """
workspaces:
  - {{name: demo, token: linked_demo}}
linked_api: {{base_url: "{api}"}}
poll: {{every: 1s, jitter: 0s}}
receivers:
  - {{name: team-chat, type: slack, url: "{chat}"}}
storage: {{url: "sqlite:///{folder}/monitor.db"}}
web: {{listen: "127.0.0.1:{port}"}}
log: {{level: warning}}
"""


def demo(
    port: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65_535,
            help=f"Where /metrics is served on 127.0.0.1; else {PORT}, or a free one.",
            show_default=False,
        ),
    ] = None,
    seconds: Annotated[
        int | None,
        typer.Option(
            min=1, help="End after so many seconds, once all is shown.", show_default=False
        ),
    ] = None,
) -> None:
    """Show an account signing out, the alert, the login and the recovery, within half a minute.

    Everything is on this machine: a simulated Linked API, the real monitor with its defaults, and
    a stand-in for Slack that prints what it is sent.
    """
    chosen = _choose(port)
    with _temporary_folder() as folder:
        demonstration = _Demo(folder, chosen)
        if port is None and chosen != PORT:
            demonstration.say(f"Port {PORT} is taken by another program; this takes another one.")
        loop.run(demonstration.run(seconds))


def _choose(port: int | None, usual: int = PORT) -> int:
    """Return the *port* that was asked for, else the *usual* one, or 0 (any) if that is taken.

    Raise MonitorError if what was asked for can't be had.
    """
    try:
        bind(WebSettings(listen=f"127.0.0.1:{usual if port is None else port}")).close()
    except MonitorError:
        if port is not None:
            raise
        return 0
    return usual if port is None else port


@contextmanager
def _temporary_folder() -> Iterator[Path]:
    try:
        folder = tempfile.TemporaryDirectory(prefix="linkedapi-monitor-demo-")
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise MonitorError(
            f"no temporary folder can be made: {reason}; name one that can be written to in TMPDIR"
        ) from None
    with folder as name:
        yield Path(name)


class _Demo:
    """The simulated API, the monitor, the stand-in for Slack, and what happens to them."""

    def __init__(self, folder: Path, port: int) -> None:
        self._folder = folder
        self._port = port
        self._console = Console(highlight=False)
        self._simulator = Simulator(seed=1)
        self._stopping = asyncio.Event()

    async def run(self, seconds: int | None) -> None:
        self._simulator.add_customer("demo", "linked_demo")
        for name in ACCOUNTS:
            self._simulator.add_account("demo", name=name)
        chat = bind(WebSettings(listen="127.0.0.1:0"))
        async with serve(self._simulator) as api, asyncio.TaskGroup() as group:
            self._simulator.tune(link_base=f"{api}/connection/")
            settings = self._configure(api, f"http://127.0.0.1:{chat.getsockname()[1]}/hook")
            configure_log(settings)
            async with operations.opened(settings, proxies=Proxies({})) as monitor:
                process.stop_on_signals(monitor.stop)
                group.create_task(serve_endpoint(self._chat(), chat, stopping=self._stopping))
                scenario = group.create_task(self._play(monitor, seconds))
                try:
                    await monitor.run(ready=self._print_addresses)
                finally:
                    scenario.cancel()
                    self._stopping.set()
        self.say('That was it. For your own accounts see "Watch your accounts" in README.md.')

    def _configure(self, api: str, chat: str) -> config.Config:
        file = self._folder / "config.yaml"
        text = CONFIG.format(api=api, chat=chat, folder=self._folder, port=self._port)
        file.write_text(text, encoding="utf-8")
        return config.load(file, {})

    def _print_addresses(self, address: str) -> None:
        self.say(f"Watching {len(ACCOUNTS)} simulated accounts, one poll a second.")
        self.say(f"Metrics: {address}/metrics   Health: {address}/healthz")

    async def _play(self, monitor: App, seconds: int | None) -> None:
        started = asyncio.get_running_loop().time()
        await asyncio.sleep(2)
        self._show_accounts()
        await asyncio.sleep(1)
        self.say(f"LinkedIn signs {ACCOUNTS[0]} out …")
        self._simulator.sign_out("demo", ACCOUNTS[0])
        await asyncio.sleep(5)
        self.say(f"{ACCOUNTS[0]} opens the link and logs in …")
        await play(self._simulator, login("demo", ACCOUNTS[0], at=0, every=1))
        await asyncio.sleep(5)
        self.say("The subscription has run out: billing freezes everybody …")
        self._simulator.set_subscription("demo", "canceled")
        await asyncio.sleep(4)
        self.say("It is paid, and the accounts thaw …")
        self._simulator.set_subscription("demo", "active")
        await asyncio.sleep(3)
        self._show_accounts()
        if seconds is not None:
            await asyncio.sleep(started + seconds - asyncio.get_running_loop().time())
        elif sys.stdout.isatty():
            self.say("The monitor goes on for ten minutes; look at the metrics, or press Ctrl-C.")
            await asyncio.sleep(600)
        monitor.stop()

    def _chat(self) -> Starlette:
        async def receive(request: Request) -> PlainTextResponse:
            self._show_message(await request.json())
            return PlainTextResponse("ok")

        return Starlette(routes=[Route("/hook", receive, methods=["POST"])])

    def _show_accounts(self) -> None:
        table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 2), show_header=False)
        for account in self._simulator.customer("demo").accounts.values():
            colour = "green" if account.status == "active" else "red"
            table.add_row(Text(account.name), Text(account.status, style=colour))
        self._console.print(table)

    def _show_message(self, payload: Any) -> None:
        lines = [line for block in payload["blocks"] for line in lines_of(block)]
        panel = Panel(Text("\n").join(lines), title="Slack: #team-chat", title_align="left")
        self._console.print(panel)
        for label, url in _links(payload):
            self._console.print(Text(f"  [{label}] {url}", style="cyan"), soft_wrap=True)

    def say(self, sentence: str) -> None:
        """Print what happens."""
        self._console.print(Text(f"▸ {sentence}", style="bold"), soft_wrap=True)


def lines_of(block: Any) -> list[Text]:
    """Read one block of a Slack message as lines of text."""
    if block.get("type") != "rich_text":
        texts = [block.get("text"), *block.get("elements", ())]
        style = "bold" if block.get("type") == "header" else ""
        return [Text(part["text"], style=style) for part in texts if part]
    lines: list[Text] = []
    for element in block["elements"]:
        is_list = element["type"] == "rich_text_list"
        for section in element["elements"] if is_list else [element]:
            line = Text("\u2022 " if is_list else "")
            for part in section["elements"]:
                line.append(part["text"], _style(part))
            lines.extend(line.split())
    return lines


def _style(part: Any) -> str:
    return "underline cyan" if "url" in part else "bold" if "style" in part else ""


def _links(payload: Any) -> list[tuple[str, str]]:
    elements = [part for block in payload["blocks"] for part in block.get("elements", ())]
    parts = [part for element in elements for part in element.get("elements", ())]
    parts += [part for item in parts for part in item.get("elements", ())]
    return [(part["text"], part["url"]) for part in parts if "url" in part]

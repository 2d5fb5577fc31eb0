"""The real program between real servers: the simulated Linked API, an HTTP and an SMTP server."""

import asyncio
import base64
import json
import os
import signal
import socket
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from harness.raw_server import RawServer, http, silence

MAX_WAIT = 60.0
"""Seconds after which something that should have come has not."""


async def until(holds, within=MAX_WAIT):
    """Wait until *holds*() is true; fail loudly if it does not become so in time."""
    async with asyncio.timeout(within):
        while not holds():
            await asyncio.sleep(0.02)


class Hooks(RawServer):
    """A real HTTP server that keeps what is posted to it: Slack messages and webhook events."""

    wait = staticmethod(until)

    def __init__(self):
        super().__init__(self._take)
        self.slack = []
        self.events = []
        self.ids = []
        self.status = 200
        self.delay = 0.0

    def paths(self):
        """What has been asked for."""
        return {request.line.split()[1] for request in self.requests}

    async def _take(self, reader, writer):
        request, status = self.requests[-1], self.status
        path = request.line.split()[1]
        if path == "/never":
            await silence(reader, writer)
        if path == "/slack":
            self.slack.append(json.loads(request.body))
        elif path == "/hook":
            self.events.append(json.loads(request.body))
            self.ids.append((request.headers["webhook-id"], self.events[-1]["type"]))
        else:
            return writer.write(http(404, b"no_service"))
        await asyncio.sleep(self.delay)
        return writer.write(http(status, b"ok"))


@asynccontextmanager
async def hooks():
    async with Hooks() as server:
        yield server, server.url


def free_port():
    """Return a port that the system gives to no other program for a minute.

    A connection that its listener closed first leaves the port in TIME_WAIT: out of the system's
    choice, yet free for a server that asks for this very port with SO_REUSEADDR, as ours do.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        with socket.create_connection(listener.getsockname()):
            listener.accept()[0].close()
        return listener.getsockname()[1]


class Program:
    """One process."""

    def __init__(self, process, log: Path):
        self.process = process
        self.log = log

    async def stop(self):
        """Stop it as an orchestrator would; return its exit code."""
        return await self._end(signal.SIGTERM)

    def hang_up(self):
        """Tell it to read its configuration again."""
        self.process.send_signal(signal.SIGHUP)

    async def until_logged(self, word, *, times=1, within=MAX_WAIT):
        """Wait until its log holds *word* so often."""
        await until(lambda: self.output().count(word) >= times, within)

    async def ended(self, within=60.0):
        """Wait until it ends by itself; return its exit code."""
        async with asyncio.timeout(within):
            return await self.process.wait()

    async def kill(self):
        """Kill it without a warning."""
        return await self._end(signal.SIGKILL)

    async def _end(self, number):
        if self.process.returncode is None:
            self.process.send_signal(number)
        return await self.ended(MAX_WAIT)

    def output(self):
        return self.log.read_text(encoding="utf-8")

    def lines(self):
        """The log's records."""
        return [json.loads(line) for line in self.output().splitlines() if line.startswith("{")]


def program(*arguments, log: Path, env=None, through=()):
    """Run the program (*through* another)."""
    return running(*through, sys.executable, "-m", "monitor", *arguments, log=log, env=env)


@asynccontextmanager
async def running(*command, log: Path, env=None):
    """Run *command*; whatever happens, it ends with the context."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("LINKED")}
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdout=output,
            stderr=output,
            env={**inherited, **(env or {})},
            cwd=Path(__file__).parents[2],
        )
    started = Program(process, log)
    try:
        yield started
    finally:
        await started.kill()


async def answers(url, within=MAX_WAIT, *, status=200):
    """Wait until *url* answers with *status*."""
    async with asyncio.timeout(within), httpx.AsyncClient(verify=False) as client:
        while True:
            try:
                if (await client.get(url)).status_code == status:
                    return
            except httpx.HTTPError:
                pass
            await asyncio.sleep(0.05)


WEBHOOK_SECRET = "whsec_" + base64.b64encode(b"a test's own secret, 32 bytes ok").decode()

CONFIG = """
workspaces:
  - {{name: acme, token: linked_test_token}}
linked_api: {{base_url: "{api}"}}
poll: {{every: 1s, jitter: 0s}}
receivers:
  - {{name: chat, type: slack, url: "{hooks}/slack"}}
  - {{name: crm, type: webhook, url: "{hooks}/hook", secret: "{secret}"}}
{mail}
storage: {{url: "{storage}"}}
web: {{listen: "127.0.0.1:{port}"}}
{more}
"""

MAIL = """\
  - {{name: mail, type: email, host: 127.0.0.1, port: {smtp}, tls: none,
      from: monitor@example.com, to: [ops@example.com]}}
"""


def configure(folder, *, api, hooks, smtp=None, storage=None, more=""):
    """Write a configuration; return its path and the address of the endpoint."""
    port = free_port()
    file = folder / "config.yaml"
    settings = {
        "api": api,
        "hooks": hooks,
        "mail": MAIL.format(smtp=smtp) if smtp else "",
        "storage": storage or f"sqlite:///{folder}/monitor.db",
        "secret": WEBHOOK_SECRET,
    }
    file.touch(0o600)  # it holds secrets
    file.write_text(CONFIG.format(port=port, more=more, **settings))
    return file, f"http://127.0.0.1:{port}"

"""Commands run in this process, against a simulated API that runs in a thread of its own."""

import contextlib
import json
import os
import pty
import shlex
import subprocess
import sys
import termios
from dataclasses import dataclass

import pytest
from anyio.from_thread import start_blocking_portal
from harness.core import frozen, listed_account, signed_out

from monitor.cli import commands
from monitor.simulator import Simulator, serve

TOKEN = "linked_test_token"


@pytest.fixture
def simulator():
    """A simulated API with one customer."""
    simulator = Simulator(seed=3)
    simulator.add_customer("acme", TOKEN)
    return simulator


@pytest.fixture
def api(simulator):
    """The address where the simulated API is served."""
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(serve(simulator)) as url,
    ):
        yield url


@pytest.fixture
def configured(tmp_path):
    """Write a configuration over what matters to the test; return its path."""

    def write(api="http://127.0.0.1:9", more=""):
        file = tmp_path / "config.yaml"
        file.write_text(
            f"workspaces: [{{name: acme, token: {TOKEN}}}]\n"
            f"linked_api: {{base_url: '{api}', timeout: 5s}}\n"
            f"storage: {{url: 'sqlite:///{tmp_path}/monitor.db'}}\n{more}\n"
        )
        return str(file)

    return write


@dataclass
class Completed:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def data(self):
        output = json.loads(self.out)
        assert output["success"] is True
        return output["data"]


@pytest.fixture
def run(capsys):
    """Run a command as a shell would."""

    def run(*arguments):
        with pytest.raises(SystemExit) as ended:
            commands.main(arguments)
        captured = capsys.readouterr()
        return Completed(int(ended.value.code or 0), captured.out, captured.err)

    return run


@pytest.fixture
def typed(run, monkeypatch):
    """Type a line as if at a terminal of 80 columns, in this process; return the lines seen."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "dumb")  # no colours

    def typed(line):
        program, *arguments = shlex.split(line)
        if program != "linkedapi-monitor":
            subprocess.run(["sh", "-euc", line], check=True)
            return []
        for stream in (sys.stdout, sys.stderr):  # capsys makes new ones for each test
            monkeypatch.setattr(stream, "isatty", lambda: True)
        ran = run(*arguments)
        return [row.rstrip() for row in (ran.out + ran.err).splitlines()]

    return typed


@pytest.fixture
def on_a_terminal():
    """Run the program with a terminal of some columns; return its exit code and what it shows."""

    def run(*arguments, columns=80):
        ours, theirs = pty.openpty()
        termios.tcsetwinsize(theirs, (24, columns))
        command = [sys.executable, "-m", "monitor", *arguments]
        environ = {**os.environ, "TERM": "dumb", "COLUMNS": str(columns)}
        with subprocess.Popen(command, stdout=theirs, stderr=theirs, env=environ) as process:
            os.close(theirs)
            shown = b""
            with contextlib.suppress(OSError):  # the other side has been closed
                while chunk := os.read(ours, 4096):
                    shown += chunk
        os.close(ours)
        return process.returncode, shown.decode().replace("\r\n", "\n")

    return run


@pytest.fixture
def recorded(harness):
    """A database with a healthy, a frozen and a signed-out account, and one delivery."""
    harness.poll(listed_account("ok"), listed_account("cold"), listed_account("out"))
    harness.poll(listed_account("ok"), frozen("cold"), signed_out("out"))
    harness.deliver()
    return harness

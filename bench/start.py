"""What a start costs: short commands, and many workspaces in the configuration and in the log."""

import io
import logging
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from statistics import median
from typing import Final

import structlog
import yaml

from monitor import log
from monitor.app import process
from monitor.core.secret import Secret
from monitor.store import workspaces
from monitor.store.db import Store

from .measure import (
    cpu_seconds,
    format_seconds,
    median_ratio,
    peak_memory,
    run_in_fresh_process,
    wall_seconds,
)
from .table import Row

WORKSPACES: Final = 10_000
LOG_LINES: Final = 2_000

COMMANDS: Final = ("version", "accounts", "incidents")
MAX_COMMAND: Final = 0.3
"""Seconds from the start of a command to its end."""

CONFIG: Final = """
workspaces: [{{name: acme, token: linked_0123456789abcdef}}]
receivers:
  - {{name: ops, type: slack, url: "https://hooks.slack.com/services/T0/B0/x"}}
  - {{name: mail, type: email, host: mail.example.com, from: a@example.com, to: [b@example.com]}}
storage: {{url: "{url}"}}
"""


def rows(*, quick: bool) -> Sequence[Row]:
    """Measure all of it."""
    runs = 1 if quick else 3
    with tempfile.TemporaryDirectory(prefix="linkedapi-monitor-bench-") as folder:
        file = Path(folder) / "config.yaml"
        file.write_text(_config(), encoding="utf-8")
        loaded = [run_in_fresh_process(_load, file) for _ in range(runs)]
    bare, times, memory = zip(*loaded, strict=True)
    one_secret, all_secrets, masking = _log_line(1), _log_line(WORKSPACES), _masking()
    return [
        *_commands(5 if quick else 15),
        Row(
            f"reading a configuration of {WORKSPACES:,} workspaces",
            f"{format_seconds(times)}; peak +{median(memory):.0f} MB",
            median_ratio(times, bare),
            beside=f"yaml.CSafeLoader alone {format_seconds(bare)}",
        ),
        Row(f"getting ready to mask {WORKSPACES:,} secrets in the log", format_seconds(masking)),
        Row(
            f"a line of log with {WORKSPACES:,} secrets to mask",
            format_seconds(all_secrets),
            median(all_secrets) / median(one_secret),
            beside=f"with one secret {format_seconds(one_secret)}",
        ),
    ]


def _commands(runs: int) -> Iterator[Row]:
    """Start short commands on a database of one workspace: start to end, all that is compiled."""
    with tempfile.TemporaryDirectory(prefix="linkedapi-monitor-bench-") as folder:
        url = f"sqlite:///{folder}/monitor.db"
        with closing(Store.open(url)) as store:
            store.run_now(lambda tx: workspaces.attach(tx, ["acme"]))
        file = Path(folder) / "config.yaml"
        file.write_text(CONFIG.format(url=url), encoding="utf-8")
        programs = {"python -c pass": ["-c", "pass"]} | {
            name: ["-m", "monitor", name, *(() if name == "version" else ("-c", str(file)))]
            for name in COMMANDS
        }
        environ = {**os.environ}
        environ.pop("PYTHONDONTWRITEBYTECODE", None)
        start = partial(subprocess.run, env=environ, stdout=subprocess.DEVNULL, check=True)
        walls: dict[str, list[float]] = {name: [] for name in programs}
        cpus: dict[str, list[float]] = {name: [] for name in programs}
        for run in range(-1, runs):  # the first compiles
            for name, arguments in programs.items():
                before = _children_seconds()
                wall = wall_seconds(partial(start, [sys.executable, *arguments]))
                if run >= 0:
                    walls[name].append(wall)
                    cpus[name].append(_children_seconds() - before)
    for name in COMMANDS:
        yield Row(
            f"{name}: start to end, one workspace",
            format_seconds(walls[name]),
            median(walls[name]) / MAX_COMMAND,
            1.0,
            f"{MAX_COMMAND} s allowed; CPU {format_seconds(cpus[name])}",
        )
    yield Row("python -c pass", format_seconds(walls["python -c pass"]))


def _children_seconds() -> float:
    """Return the processor seconds of all programs that were started and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _config() -> str:
    lines = (
        f"  - {{name: customer-{number:05}, token: linked_{number:032}}}\n"
        for number in range(WORKSPACES)
    )
    return "workspaces:\n" + "".join(lines)


def _load(file: Path) -> tuple[float, float, int]:
    before = peak_memory()
    ours = cpu_seconds(partial(process.load, file))
    memory = peak_memory() - before
    text = file.read_text(encoding="utf-8")
    return cpu_seconds(lambda: yaml.load(text, Loader=yaml.CSafeLoader)), ours, memory


def _secrets(count: int) -> list[Secret]:
    return [Secret(f"linked_{number:032}") for number in range(count)]


def _masking() -> list[float]:
    secrets = _secrets(WORKSPACES)
    return [cpu_seconds(lambda: log.Redactor(secrets)) for _ in range(5)]


def _log_line(secrets: int) -> list[float]:
    """Return the processor seconds that a line of log takes, once for each run."""
    stream = io.StringIO()
    log.configure(level="info", format="json", secrets=_secrets(secrets), stream=stream)
    logging.getLogger().setLevel(logging.INFO)
    logger = structlog.get_logger("poll")

    def write() -> None:
        for number in range(LOG_LINES):
            logger.info(
                "first look at workspace", workspace=f"customer-{number:05}", accounts=number
            )

    return [cpu_seconds(write) / LOG_LINES for _ in range(5)]

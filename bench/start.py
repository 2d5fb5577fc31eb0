"""What many workspaces cost at the start: their configuration, and their secrets in the log."""

import io
import logging
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Final

import structlog
import yaml

from monitor import log
from monitor.app import process
from monitor.core.secret import Secret

from .measure import cpu_seconds, format_seconds, median_ratio, peak_memory, run_in_fresh_process
from .table import Row

WORKSPACES: Final = 10_000
LOG_LINES: Final = 2_000


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

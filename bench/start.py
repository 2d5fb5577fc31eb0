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

from monitor import app, log
from monitor.core.secret import Secret

from .measure import apart, cpu, peak, ratio, seconds
from .table import Row

MANY: Final = 10_000
LINES: Final = 2_000


def rows(*, quick: bool) -> Sequence[Row]:
    """Measure all of it."""
    runs = 1 if quick else 3
    with tempfile.TemporaryDirectory(prefix="linkedapi-monitor-bench-") as folder:
        file = Path(folder) / "config.yaml"
        file.write_text(_config(), encoding="utf-8")
        loaded = [apart(_load, file) for _ in range(runs)]
    bare, times, memory = zip(*loaded, strict=True)
    one, many, masking = _lines(1), _lines(MANY), _masking()
    return [
        Row(
            f"reading a configuration of {MANY:,} workspaces",
            f"{seconds(times)}; peak +{median(memory):.0f} MB",
            ratio(times, bare),
            beside=f"yaml.CSafeLoader alone {seconds(bare)}",
        ),
        Row(f"getting ready to mask {MANY:,} secrets in the log", seconds(masking)),
        Row(
            f"a line of log with {MANY:,} secrets to mask",
            seconds(many),
            median(many) / median(one),
            beside=f"with one secret {seconds(one)}",
        ),
    ]


def _config() -> str:
    lines = (
        f"  - {{name: customer-{number:05}, token: linked_{number:032}}}\n"
        for number in range(MANY)
    )
    return "workspaces:\n" + "".join(lines)


def _load(file: Path) -> tuple[float, float, int]:
    before = peak()
    loading = cpu(partial(app.load, file))
    memory = peak() - before
    text = file.read_text(encoding="utf-8")
    return cpu(lambda: yaml.load(text, Loader=yaml.CSafeLoader)), loading, memory


def _secrets(count: int) -> list[Secret]:
    return [Secret(f"linked_{number:032}") for number in range(count)]


def _masking() -> list[float]:
    secrets = _secrets(MANY)
    return [cpu(lambda: log.Masking(secrets)) for _ in range(5)]


def _lines(secrets: int) -> list[float]:
    """Return what each of many lines costs."""
    stream = io.StringIO()
    log.configure(level="info", format="json", secrets=_secrets(secrets), stream=stream)
    logging.getLogger().setLevel(logging.INFO)
    logger = structlog.get_logger("poll")

    def lines() -> None:
        for number in range(LINES):
            logger.info(
                "first look at workspace", workspace=f"customer-{number:05}", accounts=number
            )

    return [cpu(lines) / LINES for _ in range(5)]

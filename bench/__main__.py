"""Measures the named parts, or all of them, and prints one table.

python -m bench [--quick] [PART …], such as decode, metrics, commit, databases, queue, start
"""

import argparse
import importlib
import os
import platform
import sys
import time
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Final

from monitor import __version__

from .measure import run_in_fresh_process
from .table import table

PARTS: Final = {
    "decode": "decode + diff of 1,000 accounts",
    "metrics": "a scrape of /metrics",
    "commit": "a commit on SQLite",
    "databases": "PostgreSQL beside SQLite",
    "listings": "listings of half a year",
    "queue": "long queues",
    "restart": "a restart after a kill",
    "start": "starting",
    "latency": "from detection to delivery",
    "polling": "a quiet poll",
    "running": "the program at work",
    "fleet": "many workspaces",
    "replicas": "two and three monitors at work on one database",
    "large": "a workspace of very many accounts",
}
_PACKAGES: Final = ("msgspec", "prometheus-client", "httpx", "sqlalchemy", "uvicorn")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="make bench ARGS=…", description=__doc__)
    parser.add_argument("parts", nargs="*", help=f"any of {', '.join(PARTS)}; all without one")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter runs")
    arguments = parser.parse_args()
    unknown = set(arguments.parts) - PARTS.keys()
    if unknown:
        parser.error(f"there is no part {', '.join(sorted(unknown))}")
    started, environment = time.monotonic(), _environment()
    parts = []
    for name, title in PARTS.items():
        if name in arguments.parts or not arguments.parts:
            _log(f"{time.monotonic() - started:4.0f} s  {title} …")
            rows = importlib.import_module(f"bench.{name}").rows
            parts.append((title, run_in_fresh_process(partial(rows, quick=arguments.quick))))
    _log(f"{time.monotonic() - started:4.0f} s  done")
    sys.stdout.write(f"{environment}\n\n{table(parts)}\n")


def _log(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def _environment() -> str:
    packages = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    return (
        f"linkedapi-monitor {__version__}, {platform.python_implementation()}"
        f" {platform.python_version()}, {platform.system()} {platform.machine()},"
        f" {os.cpu_count()} cores ({_processor()}),"
        f" load average {os.getloadavg()[0]:.1f}; {packages}"
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return "unknown"
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "unknown")


if __name__ == "__main__":
    main()

"""The command that runs the monitor."""

import sys
from contextlib import closing
from functools import partial

from . import startup
from .options import ConfigOption

with startup.without("pygments", "rich"):  # structlog and httpx would, and nothing is drawn here
    from monitor import log
    from monitor.app import operations, process
    from monitor.net import loop

    from .log import configure_log


def run(config_file: ConfigOption = None) -> None:
    """Run the monitor until it is told to stop (SIGTERM or Ctrl-C)."""
    with closing(log.LogQueue(sys.stderr)) as stream:
        configure = partial(configure_log, stream=stream)
        loop.run(operations.run(lambda: process.load(config_file), configure, stream))

"""The command that runs the monitor."""

import sys
from collections.abc import Iterable
from contextlib import closing
from functools import partial
from typing import TextIO

from monitor import app, log
from monitor.config import Config
from monitor.core.secret import Secret
from monitor.net import loop

from .options import ConfigOption


def run(config_file: ConfigOption = None) -> None:
    """Run the monitor until it is told to stop (SIGTERM or Ctrl-C)."""
    with closing(log.LogQueue(sys.stderr)) as stream:
        configure = partial(configure_log, stream=stream)
        loop.run(app.run(lambda: app.load(config_file), configure, stream))


def configure_log(
    config: Config,
    secrets: Iterable[Secret] = (),
    level: str | None = None,
    stream: TextIO | log.LogQueue | None = None,
) -> None:
    """Log as *config* says to *stream*, with its secrets and *secrets* redacted.

    Without a *stream* it is standard error.
    """
    stream = stream or sys.stderr
    log.configure(
        level=level or config.log.level,
        format=config.log.format or ("console" if stream.isatty() else "json"),
        secrets=(*config.secrets(), *secrets),
        stream=stream,
    )

"""The command that runs the monitor."""

import sys
from collections.abc import Iterable

from monitor import app, log
from monitor.config import Config
from monitor.core.secret import Secret
from monitor.net import loop

from .options import ConfigOption


def run(config_file: ConfigOption = None) -> None:
    """Run the monitor until it is told to stop (SIGTERM or Ctrl-C)."""
    loop.run(app.run(lambda: app.load(config_file), configure_log))


def configure_log(config: Config, secrets: Iterable[Secret] = (), level: str | None = None) -> None:
    """Log as *config* says to standard error, with its secrets and *secrets* redacted."""
    log.configure(
        level=level or config.log.level,
        format=config.log.format or ("console" if sys.stderr.isatty() else "json"),
        secrets=(*config.secrets(), *secrets),
        stream=sys.stderr,
    )

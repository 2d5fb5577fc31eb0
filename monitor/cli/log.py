"""How the log of a command is written."""

import sys
from collections.abc import Iterable
from typing import TextIO

from monitor import log
from monitor.config import Config
from monitor.core.secret import Secret


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

"""How the log of a command is written."""

import logging
import sys
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, TextIO

from monitor.config import Config
from monitor.core.secret import Secret

if TYPE_CHECKING:
    from monitor.log import LogQueue


def configure_log(
    config: Config,
    secrets: Iterable[Secret] = (),
    level: str | None = None,
    stream: "TextIO | LogQueue | None" = None,
) -> None:
    """Log as *config* says to *stream*, with its secrets and *secrets* redacted.

    Without a *stream* it is standard error.
    """
    from monitor import log  # noqa: PLC0415 - slow to load

    stream = stream or sys.stderr
    log.configure(
        level=level or config.log.level,
        format=config.log.format or ("console" if stream.isatty() else "json"),
        secrets=(*config.secrets(), *secrets),
        stream=stream,
    )


def configure_log_late(config: Config) -> None:
    """Let warnings be logged as `configure_log` has it, which is called once there is one."""
    root = logging.getLogger()
    root.handlers[:] = [_Late(partial(configure_log, config, level="warning"))]
    root.setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)


class _Late(logging.Handler):
    """Lets the handler that *configure* puts into its place have the first record."""

    def __init__(self, configure: Callable[[], None]) -> None:
        super().__init__()
        self._configure = configure

    def emit(self, record: logging.LogRecord) -> None:
        self._configure()
        logging.getLogger(record.name).handle(record)

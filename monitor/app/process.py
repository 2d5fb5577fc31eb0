"""The process: clock, random numbers, environment and signals. Only this reads them.

But for what `net` asks of the environment, proxies and authorities, and what `cli` does to start.
"""

import asyncio
import gc
import getpass
import os
import random
import resource
import signal
import socket
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from monitor import config
from monitor.config import Config
from monitor.core.errors import SetupError
from monitor.core.model import Micros
from monitor.core.runtime import Runtime
from monitor.core.text import clean
from monitor.store import address
from monitor.web import endpoint


def now() -> Micros:
    """Return the time: UTC microseconds since the epoch."""
    return time.time_ns() // 1000  # noqa: TID251 - the one clock


def new_id() -> str:
    """Return a fresh id."""
    return str(uuid.uuid4())


_SQLITE_FILE: Final = b"SQLite format 3\0"
"""What each file of SQLite begins with."""

MIN_FILES: Final = 64
"""So many files the monitor opens by itself, with a few connections."""

MAX_GARBAGE: Final = 20_000
"""How many objects more than before there may be until cycles of garbage are looked for."""

REAL: Final = Runtime(now, time.monotonic, random.SystemRandom().random, new_id)


def load(path: Path | None) -> Config:
    """Read the configuration at *path*, or what the environment says of it; raise ConfigError."""
    return config.load(path, os.environ)


def show(path: Path | None) -> str:
    """Return the same configuration as a file with all defaults and without secrets."""
    return config.show(path, os.environ)


def starter() -> config.Starter:
    """Return a configuration to start with, for what the environment has."""
    return config.make_starter(os.environ)


def storage(place: str) -> str:
    """Return the address of the database at *place*; raise SetupError unless it is one.

    It is a configuration file that names one, a variable that holds one (`env:NAME`), or the
    address itself: without a password, which everybody could read in the list of processes.
    """
    if place.startswith("env:"):
        name = place.removeprefix("env:")
        url = os.environ.get(name, "").strip()
        if not url:
            raise SetupError(f"{place}: the environment variable {name} is not set")
    elif "://" in place:
        url = place
    else:
        return _configured_storage(Path(place))
    try:
        parsed = address.parse(url)
    except ValueError as error:
        raise SetupError(f"the address of the database {error}") from None
    if url is place and (parsed.password or any("password" in key for key in parsed.query)):
        raise SetupError(
            "everybody on this machine can read a password on the command line: put the address"
            " into a variable and write env:NAME, or name a configuration file that has it"
        )
    return url


def _configured_storage(path: Path) -> str:
    """Return the address of the database that the configuration at *path* names."""
    is_file = True
    with suppress(OSError):  # else loading it says why it can't be read
        is_file = path.is_file()
    if not is_file:
        raise SetupError(
            f"{path} is no configuration file; name one, or the address of a database:"
            " sqlite:///PATH, or env:NAME for a variable that holds postgresql://…"
        )
    with suppress(OSError), path.open("rb") as file:
        if file.read(len(_SQLITE_FILE)) == _SQLITE_FILE:
            raise SetupError(
                f"{path} is a database, no configuration: write sqlite:///{path.absolute()}"
            )
    return load(path).storage.location


def check_limits() -> None:
    """Raise SetupError if the system's limits let the monitor do no work."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= files < MIN_FILES:
        raise SetupError(
            f"only {files} files may be open at once; raise the limit to {MIN_FILES} or more"
            " (ulimit -n, LimitNOFILE=)"
        )


def collect_seldom() -> None:
    """Look for garbage when there may be much, not at any 700 objects more.

    So many are alive while polls are under way, and each look costs as much as several polls.
    """
    gc.set_threshold(MAX_GARBAGE)


def user() -> str:
    """Return the name of the system's user who runs this."""
    name = ""
    with suppress(KeyError, OSError):  # a number without a name, as containers have
        name = clean(getpass.getuser())
    return name or f"uid {os.getuid()}"


def host() -> str:
    """Return the name of this host, as people may read it."""
    return clean(socket.gethostname())


def endpoint_record() -> endpoint.Record:
    """Return where this process leaves the address of its endpoint for health checks."""
    return endpoint.Record(endpoint.places(os.environ))


def notify_socket() -> str | None:
    """Return the address of the service manager that started this process, if there is one."""
    return os.environ.get("NOTIFY_SOCKET")


def stop_on_signals(stop: Callable[[], None]) -> None:
    """Call *stop* on SIGTERM and SIGINT."""
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop)


def ignore_reloads() -> None:
    """Ignore SIGHUP until `reload_on_signal`: the configuration is being read anyway."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


def reload_on_signal(reload: Callable[[], None]) -> None:
    """Call *reload* on SIGHUP."""
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reload)

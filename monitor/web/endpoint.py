"""Where the running monitor is to be asked: it leaves its address in a file for health checks.

The file is locked for as long as the monitor lives: one that a kill left behind does not count.
A health check runs every half minute for years, so this loads next to nothing.
"""

import fcntl
import os
import stat
from collections.abc import Mapping, Sequence
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from typing import Final

RUNTIME: Final = "RUNTIME_DIRECTORY"
DEFAULT_STORAGE: Final = "LINKEDAPI_MONITOR_DEFAULT_STORAGE_URL"

MAX_BYTES: Final = 8192
_SQLITE: Final = "sqlite:///"


def places(environ: Mapping[str, str]) -> list[Path]:
    """Return where the file may be: in the service's folder, beside the packager's state."""
    files = []
    folder = Path(environ.get(RUNTIME, "").partition(":")[0])
    if folder.is_absolute():
        files.append(folder / "endpoint")
    url = environ.get(DEFAULT_STORAGE, "").strip()
    database = url.removeprefix(_SQLITE).partition("?")[0]
    if url.startswith(_SQLITE) and database:
        files.append(Path(f"{database}-endpoint"))
    return files


def to_ask(listen: str) -> tuple[str, int]:
    """Return whom to ask of a monitor that listens on HOST:PORT; raise ValueError if nobody.

    Who listens on all addresses, of one family or both, is asked at the one that every host has.
    """
    host, _, port = listen.strip().rpartition(":")
    host = host.strip("[]")
    with suppress(ValueError):
        address = ip_address(host)
        if (getattr(address, "ipv4_mapped", None) or address).is_unspecified:
            host = "127.0.0.1"
    return host, int(port)


def find(files: Sequence[Path], config: Path | None = None) -> str | None:
    """Return the address (HOST:PORT) of the living monitor that left it in one of *files*.

    It must be one with the configuration file *config*, unless that is None.
    """
    for file in files:
        lines = _read(file)
        if lines and (config is None or lines[1:] == [str(config.absolute())]):
            return lines[0]
    return None


def _read(file: Path) -> list[str]:
    """Return the lines of a *file* that a living monitor has locked; none of any other."""
    try:
        opened = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    except (OSError, ValueError):
        return []
    try:
        if not stat.S_ISREG(os.fstat(opened).st_mode):
            return []
        fcntl.flock(opened, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return os.read(opened, MAX_BYTES).decode("utf-8", "surrogateescape").splitlines()
    except OSError:
        return []
    else:
        return []  # whoever wrote it is dead
    finally:
        os.close(opened)


class Record:
    """The file of this monitor, from `write` until `close`."""

    def __init__(self, files: Sequence[Path]) -> None:
        self._files = files
        self._file: Path | None = None
        self._opened: int | None = None

    def write(self, listen: str, config: Path | None) -> None:
        """Leave the address *listen* in the first file that can be written, if one can."""
        for file in self._files:
            new = file.with_name(f"{file.name}.{os.getpid()}")
            with suppress(OSError, ValueError):
                self._opened = os.open(new, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
                try:
                    fcntl.flock(self._opened, fcntl.LOCK_EX)
                    text = f"{listen}\n{config.absolute() if config else ''}\n"
                    os.write(self._opened, text.encode("utf-8", "surrogateescape"))
                    new.replace(file)
                except OSError:
                    self.close()
                    new.unlink(missing_ok=True)
                    raise
                self._file = file
                return

    def close(self) -> None:
        """Remove the file, unless it is another monitor's by now."""
        if self._opened is None:
            return
        with suppress(OSError):
            if self._file and os.path.samestat(os.fstat(self._opened), self._file.lstat()):
                self._file.unlink()
        os.close(self._opened)
        self._file = self._opened = None

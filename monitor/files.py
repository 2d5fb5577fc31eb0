"""Files that people name: of limited size, regular, and opened without waiting for anybody.

A pipe that nobody writes to would hold up whoever opens it for ever.
"""

import errno
import os
import stat
from pathlib import Path


def read(path: Path, limit: int) -> bytes:
    """Return the first *limit* bytes of the regular file at *path*, and one more if there are more.

    Raise OSError, whose `strerror` says why, if that can't be.
    """
    opened = _open(path)
    with os.fdopen(opened, "rb") as file:
        return file.read(limit + 1)


def check(path: Path) -> None:
    """Raise OSError, whose `strerror` says why, unless a regular file at *path* can be read."""
    os.close(_open(path))


def _open(path: Path) -> int:
    try:
        opened = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except ValueError:  # a NUL in its name, say
        raise OSError(errno.EINVAL, "not a path") from None
    mode = os.fstat(opened).st_mode
    if stat.S_ISREG(mode):
        return opened
    os.close(opened)
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    raise OSError(errno.EINVAL, "it is no regular file")

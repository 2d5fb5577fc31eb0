"""Files that people name: of limited size, regular, and opened without waiting for anybody.

A pipe that nobody writes to would hold up whoever opens it for ever.
"""

import errno
import os
import stat
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Self


def read(path: Path, limit: int) -> bytes:
    """Return the first *limit* bytes of the regular file at *path*, and one more if there are more.

    Raise OSError, whose `strerror` says why, if that can't be.
    """
    opened = _open(path)
    with os.fdopen(opened, "rb") as file:
        return file.read(limit + 1)


class FileContents(dict[tuple[Path, int], str]):
    """What files held when they were read: a hash by path and limit, or why they could not be."""

    def read(self, path: Path, limit: int) -> bytes:
        """Return what `read` does, and keep what stands for it."""
        try:
            content = read(path, limit)
        except OSError as error:
            self[path, limit] = f"{error.strerror}"
            raise
        self[path, limit] = sha256(content).hexdigest()
        return content

    def read_again(self) -> Self:
        """Return what the same files hold now."""
        contents = type(self)()
        for path, limit in self:
            with suppress(OSError):
                contents.read(path, limit)
        return contents


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

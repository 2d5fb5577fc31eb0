"""The file of a SQLite database, and those beside it: for nobody else to read, and still there.

What the file holds opens accounts: login links. So it and its companions are regular files of the
user who runs the monitor, with mode 0600, in folders where no other user can put another file in
their place. A folder that everybody may write to is taken if it is sticky, as /tmp is (nobody can
replace what is ours there, and what others have put there is refused), or the root of a volume, as
orchestrators make them (then who reaches the volume from outside is up to them). Where all files
have one owner, whoever makes them, as on shares of networks, that owner is taken for ours.
"""

import logging
import os
import re
import stat
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final

from .errors import NoDatabaseError, StoreError

COMPANIONS: Final = ("-wal", "-shm", "-journal", "-lock")

_OPEN: Final = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC

_MOUNTS: Final = Path("/proc/self/mountinfo")
"""Has a line for each mount; its fifth word says where. Not all systems have the file."""

log = logging.getLogger("store")  # structlog is slow to load, and few commands log anything


class DatabaseFile:
    """The file at *path*."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._wal = path.with_name(f"{path.name}-wal")
        self._identity: tuple[int, int] | None = None
        self._wal_identity: tuple[int, int] | None = None

    def prepare(self, *, create: bool) -> None:
        """Make the file if there is none, and keep others from it.

        Raise StoreError if it can't be written or is not ours alone, or if there is none and it is
        not to be created.
        """
        path = self.path
        try:
            if not create:
                path.lstat()
            _make_folders(path.parent)
            check_folders(path, "name a file elsewhere in storage.url")
            os.close(open_ours(path, whoever=not create))
        except OSError as error:
            if not create and isinstance(error, FileNotFoundError | NotADirectoryError):
                raise NoDatabaseError(
                    f"there is no database {path} (storage.url): the monitor has not run with it"
                    " yet"
                ) from None
            advice = "name a writable file in storage.url"
            if not create and isinstance(error, PermissionError):
                advice = "run this as the user of the monitor"
            raise StoreError(
                f"the database {path} can't be opened: {error.strerror}; {advice}"
            ) from None
        self._identity = _identity(path)
        self.check_companions()

    def check_companions(self) -> None:
        """Raise StoreError if a file beside it is not ours; keep others from each."""
        owner = self.path.stat().st_uid
        for ending in COMPANIONS:
            companion = self.path.with_name(f"{self.path.name}{ending}")
            try:
                status = companion.lstat()
            except FileNotFoundError:
                continue
            if not stat.S_ISREG(status.st_mode) or status.st_uid not in {owner, os.geteuid()}:
                raise StoreError(
                    f"{companion} is not the monitor's: somebody else has made it; move it away, or"
                    " name a file in another folder in storage.url"
                )
            _tighten(companion, status)

    def check(self) -> None:
        """Raise StoreError if the file is not the one any more that was opened.

        What is written to a file that was deleted, or is shadowed by another one, is lost.
        """
        now = _identity(self.path)
        if now is None:
            raise StoreError(
                f"the database {self.path} is gone: it was deleted or moved, or its folder is not"
                " mounted any more; put it back, or restart the monitor to begin with a new one"
            )
        if now != self._identity:
            raise StoreError(
                f"the database {self.path} was replaced by another file; restart the monitor to use"
                " that one, or put the former one back"
            )
        if self._wal_identity and _identity(self._wal) != self._wal_identity:
            raise StoreError(
                f"{self._wal}, which belongs to the database, was deleted or replaced; restart the"
                " monitor: it holds what was in it"
            )

    def follow_wal(self) -> None:
        """Let `check` look at the log from now on, which nobody deletes any more: we have it open.

        Before, it may be that of a program which is just about to end, and to take it away.
        """
        self._wal_identity = self._wal_identity or _identity(self._wal)


def open_ours(path: Path, *, whoever: bool = False) -> int:
    """Open or make a file for nobody else to read; raise StoreError if it is not ours.

    To root it may be *whoever*'s.
    """
    try:
        file = os.open(path, _OPEN, 0o600)
    except OSError:
        if path.is_symlink():
            raise StoreError(
                f"{path} is a symbolic link; name the file that it leads to in storage.url"
            ) from None
        raise
    try:
        _check_ours(path, os.fstat(file), whoever=whoever)
    except BaseException:
        os.close(file)
        raise
    return file


def _check_ours(path: Path, status: os.stat_result, *, whoever: bool) -> None:
    user = os.geteuid()
    if not stat.S_ISREG(status.st_mode):
        raise StoreError(f"{path} is not a file; name a writable file in storage.url")
    if status.st_uid != user and not (whoever and user == 0):
        if _owner_of_new(path.parent) != status.st_uid:
            raise StoreError(
                f"{path} belongs to another user (uid {status.st_uid}, this is {user}): run the"
                " monitor as that one, or give it the file (chown)"
            )
        log.warning(
            "the file system of the database keeps no owners: who can write there is up to it",
            extra={"folder": str(path.parent)},
        )
    _tighten(path, status)


def _owner_of_new(folder: Path) -> int | None:
    """Return to whom belongs what we make in *folder*: shares of networks may say one for all."""
    with suppress(OSError), tempfile.TemporaryFile(dir=folder) as new:
        return os.fstat(new.fileno()).st_uid
    return None


def _tighten(path: Path, status: os.stat_result) -> None:
    """Keep others from a file of ours, whose *status* is this."""
    if not status.st_mode & 0o077:
        return
    details = {"file": str(path), "mode": f"{stat.S_IMODE(status.st_mode):04o}"}
    reason = "its file system keeps no modes"
    with suppress(FileNotFoundError):  # whoever made it has ended
        try:
            path.chmod(0o600)
        except OSError as error:
            reason = str(error.strerror)
        if path.stat().st_mode & 0o077:
            details["error"] = reason
            log.warning("others may read a file of the database", extra=details)
        else:
            log.warning(
                "others could read a file of the database; its mode is 0600 now", extra=details
            )


def _make_folders(folder: Path) -> None:
    for missing in reversed([each for each in (folder, *folder.parents) if not each.exists()]):
        missing.mkdir(exist_ok=True, mode=0o700)


def check_folders(path: Path, advice: str) -> None:
    """Raise StoreError, with *advice*, if others could put another file in the place of *path*."""
    folder = path.parent.resolve()
    open_folders = [each for each in (folder, *folder.parents) if _is_open(each)]
    for each in open_folders:
        volume = next(filter(_is_volume, (each, *each.parents)))
        if volume not in open_folders:
            raise StoreError(
                f"everybody may write to the folder {each}, so everybody may put another file in"
                f" the place of {path.name}; chmod o-w {each}, or {advice}"
            )
        if each == volume:
            log.warning(
                "everybody may write to the volume of the database", extra={"volume": str(volume)}
            )


def _is_open(folder: Path) -> bool:
    """Return whether everybody may replace what is in *folder*."""
    mode = folder.stat().st_mode
    return bool(mode & stat.S_IWOTH) and not mode & stat.S_ISVTX


def _is_volume(folder: Path) -> bool:
    """Return whether something is mounted at *folder*, be it another folder of the same device."""
    if os.path.ismount(folder):
        return True
    with suppress(OSError):
        for line in _MOUNTS.read_bytes().splitlines():
            escaped = line.split()[4]
            point = re.sub(rb"\\([0-7]{3})", lambda octal: bytes([int(octal[1], 8)]), escaped)
            if point == os.fsencode(folder):
                return True
    return False


def _identity(path: Path) -> tuple[int, int] | None:
    """Return what tells the file at *path* from every other, None if there is none."""
    try:
        status = path.lstat()
    except OSError:
        return None
    return status.st_dev, status.st_ino

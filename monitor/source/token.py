"""The token of a workspace: written in the configuration, or read from a file that may change."""

from pathlib import Path
from typing import Final

from monitor.core.errors import MonitorError
from monitor.core.secret import Secret

LONGEST: Final = 4096


class TokenError(MonitorError):
    """The token cannot be used; the text says why and never holds it."""


class Token:
    """The token of one workspace, from a secret or from the file that holds it.

    A file is looked at again before each use (its date and size, then its content), so a rotated
    token counts at once. A file that has become unreadable leaves the last good token in use.
    """

    def __init__(self, source: Secret | Path) -> None:
        self._file = source if isinstance(source, Path) else None
        self._given = source if isinstance(source, Secret) else None
        self._used: Secret | None = None
        self._mark: tuple[int, int, int] | None = None

    def text(self) -> str:
        """Return the token to send now; raise `TokenError` if there is none that can be sent."""
        if self._given is not None and self._used is None:
            self._used = _checked(self._given, "the token")
        elif self._file is not None and (self._used is None or self.changed()):
            self.reread()
        assert self._used is not None
        return self._used.reveal()

    def reread(self) -> bool:
        """Read the file again whatever its date says; return whether it holds another token."""
        if self._file is None:
            return False
        before = self._used
        try:
            mark, self._used = _read(self._file)
            self._mark = mark
        except TokenError:
            if before is None:
                raise
        return self._used != before

    def changed(self) -> bool:
        """Tell cheaply whether the file now holds another token than the one last used."""
        if self._file is None:
            return False
        try:
            if _mark(self._file) == self._mark:
                return False
            mark, found = _read(self._file)
        except (TokenError, OSError):
            return False
        if found != self._used:
            return True
        self._mark = mark
        return False


def _mark(file: Path) -> tuple[int, int, int]:
    state = file.stat()
    return state.st_mtime_ns, state.st_size, state.st_ino


def _read(file: Path) -> tuple[tuple[int, int, int], Secret]:
    """Read *file*, its mark first: a file that changes meanwhile is looked at again next time."""
    reason = ""
    try:
        mark = _mark(file)
        with file.open("rb") as opened:
            content = opened.read(LONGEST + 1)
    except OSError as error:
        reason = error.strerror or type(error).__name__
    if reason:
        raise TokenError(f"the token file {file} cannot be read: {reason}")
    return mark, _checked(Secret(content.decode("latin-1")), f"the token in {file}")


def _checked(token: Secret, what: str) -> Secret:
    text = token.reveal()
    if not text:
        raise TokenError(f"{what} is empty")
    if len(text) > LONGEST:
        raise TokenError(f"{what} is longer than {LONGEST} characters, so it is something else")
    if not all("!" <= character <= "~" for character in text):
        raise TokenError(f"{what} holds spaces, control or non-ASCII characters")
    return token

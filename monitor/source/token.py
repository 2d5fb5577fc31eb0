"""The token of a workspace: written in the configuration, or read from a file that may change."""

from pathlib import Path
from typing import Final

from monitor.core.errors import ApiError
from monitor.core.model import Cause
from monitor.core.secret import Secret

MAX_TOKEN: Final = 4096  # characters

Fingerprint = tuple[int, int, int]


class TokenError(ApiError):
    """The token cannot be used; the text says why and never holds it."""

    def __init__(self, message: str) -> None:
        super().__init__(message, cause=Cause.TOKEN_REJECTED)


class Token:
    """The token of one workspace, from a secret or from the file that holds it.

    A file is looked at again before each use (its date and size, then its content), so a rotated
    token counts at once. A file that has become unreadable leaves the last good token in use.
    """

    def __init__(self, source: Secret | Path) -> None:
        self._source = source
        self._token: Secret | None = None
        self._fingerprint: Fingerprint | None = None

    def text(self) -> str:
        """Return the token to send now; raise `TokenError` if there is none that can be sent."""
        if isinstance(self._source, Secret):
            return _checked(self._source, "the token").reveal()
        if self._token is None or self.changed():
            self.reread()
        assert self._token is not None
        return self._token.reveal()

    def reread(self) -> bool:
        """Read the file again whatever its date says; return whether it holds another token.

        Raise `TokenError` if it holds none and never did.
        """
        if isinstance(self._source, Secret):
            return False
        before = self._token
        try:
            self._fingerprint, self._token = _read(self._source)
        except TokenError:
            if before is None:
                raise
        return self._token != before

    def changed(self) -> bool:
        """Tell cheaply whether the file now holds another token than the one last used."""
        if isinstance(self._source, Secret):
            return False
        try:
            if _fingerprint(self._source) == self._fingerprint:
                return False
            fingerprint, token = _read(self._source)
        except (TokenError, OSError):
            return False
        if token != self._token:
            return True
        self._fingerprint = fingerprint
        return False


def _fingerprint(file: Path) -> Fingerprint:
    stat = file.stat()
    return stat.st_mtime_ns, stat.st_size, stat.st_ino


def _read(file: Path) -> tuple[Fingerprint, Secret]:
    """Read *file*, its fingerprint first: if it changes meanwhile, it is read again next time."""
    try:
        fingerprint = _fingerprint(file)
        with file.open("rb") as opened:
            content = opened.read(MAX_TOKEN + 1)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise TokenError(f"the token file {file} cannot be read: {reason}") from None
    return fingerprint, _checked(Secret(content.decode("latin-1")), f"the token in {file}")


def _checked(token: Secret, what: str) -> Secret:
    text = token.reveal()
    if not text:
        raise TokenError(f"{what} is empty")
    if len(text) > MAX_TOKEN:
        raise TokenError(f"{what} is longer than {MAX_TOKEN} characters, so it is something else")
    if not all("!" <= character <= "~" for character in text):
        raise TokenError(f"{what} holds spaces, control or non-ASCII characters")
    return token

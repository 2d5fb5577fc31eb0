"""The token of a workspace: written in the configuration, or read from a file that may change."""

import codecs
from collections.abc import Callable
from pathlib import Path
from typing import Final

from monitor import files
from monitor.core.errors import ApiError
from monitor.core.model import Cause
from monitor.core.secret import Secret

MAX_TOKEN: Final = 4096  # characters


WHERE_TOKENS_ARE: Final = "tokens are shown at https://app.linkedapi.io"
"""What a person without a token has to know: the address is that of Linked API's platform."""


class TokenError(ApiError):
    """The token cannot be used; the text says why and never holds it."""

    def __init__(self, message: str) -> None:
        super().__init__(message, cause=Cause.TOKEN_REJECTED)


class Token:
    """The token of one workspace, from a secret or from the file that holds it.

    A file is read again before each use, so a rotated token counts at once. One that has become
    unreadable leaves the last good token in use. *mask* is told what nobody may see.
    """

    def __init__(
        self, source: Secret | Path, *, mask: Callable[[Secret], None] = lambda _: None
    ) -> None:
        self._source = source
        self._mask = mask
        self._last: Secret | None = None

    def text(self) -> str:
        """Return the token to send now; raise `TokenError` if there is none that can be sent."""
        if isinstance(self._source, Secret):
            return _checked(self._source, "the token").reveal()
        try:
            self._last = self._read(self._source)
        except TokenError:
            if self._last is None:
                raise
        return self._last.reveal()

    def last(self) -> Secret | None:
        """Return the token that was used last, if one was."""
        return self._source if isinstance(self._source, Secret) else self._last

    def changed(self) -> bool:
        """Tell whether the file now holds another token than the one last used."""
        if isinstance(self._source, Secret):
            return False
        try:
            return self._read(self._source) != self._last
        except TokenError:
            return False

    def _read(self, file: Path) -> Secret:
        secret = _read(file)
        self._mask(secret)
        return secret


def _read(file: Path) -> Secret:
    try:
        content = files.read(file, MAX_TOKEN)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise TokenError(f"the token file {file} cannot be read: {reason}") from None
    text = content.removeprefix(codecs.BOM_UTF8).decode("latin-1")
    return _checked(Secret(text), f"the token in {file}")


def _checked(token: Secret, what: str) -> Secret:
    text = token.reveal()
    if not text:
        raise TokenError(f"{what} is empty; {WHERE_TOKENS_ARE}")
    if not text.strip("<>.…"):
        raise TokenError(f"{what} is only a placeholder; {WHERE_TOKENS_ARE}")
    if len(text) > MAX_TOKEN:
        raise TokenError(f"{what} is longer than {MAX_TOKEN} characters, so it is something else")
    if not all("!" <= character <= "~" for character in text):
        raise TokenError(
            f"{what} holds spaces, control or non-ASCII characters; {WHERE_TOKENS_ARE}"
        )
    return token

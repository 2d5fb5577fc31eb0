"""The body of an HTTP response: its content codings undone, within a limit.

As curl and browsers do: several codings, gzip of several members, deflate with and without its
wrapper, names in any case. A coding that was not asked for is an `OddAnswerError`.
"""

import re
import zlib
from collections.abc import AsyncIterable, Iterable, Iterator
from typing import Any, Final

from .head import OddAnswerError

MAX_CODINGS: Final = 5
STEP: Final = 64 * 1024
"""So many bytes are inflated at a time."""

_PLAIN: Final = ("", "identity", "none")
_GZIP: Final = ("gzip", "x-gzip")
_NAME: Final = re.compile(r"[a-z0-9-]{1,20}")


async def read_body(chunks: AsyncIterable[bytes], encoding: str, *, limit: int) -> bytes:
    """Return the body that comes in *chunks*, of more than *limit* bytes one more at the least.

    *encoding* is the header Content-Encoding. No stage of it is undone any further either.
    """
    stages = [_Stage(name, limit) for name in reversed(_codings(encoding))]
    body = bytearray()
    received = 0
    async for chunk in chunks:
        received += len(chunk)
        pieces: Iterable[bytes] = (chunk,)
        for stage in stages:
            pieces = stage.undo(pieces)
        for piece in pieces:
            body += piece
            if len(body) > limit:
                return bytes(body)
        if received > limit:
            raise OddAnswerError("with more compressed data than a body may have")
    return bytes(body)


def _codings(encoding: str) -> list[str]:
    """Return the names of the codings, in the order in which they were applied."""
    names = [name for part in encoding.split(",") if (name := part.strip().lower()) not in _PLAIN]
    for name in names:
        if name not in (*_GZIP, "deflate"):
            shown = f" ({name})" if _NAME.fullmatch(name) else ""
            raise OddAnswerError(f"in a compression that was not asked for{shown}")
    if len(names) > MAX_CODINGS:
        raise OddAnswerError(f"compressed more than {MAX_CODINGS} times")
    return names


class _Stage:
    """Undoes one coding, piece by piece; a stage before the last has the same *limit*."""

    def __init__(self, name: str, limit: int) -> None:
        self._is_gzip = name in _GZIP
        self._left = limit + 1
        self._pending = b""
        self._inflate: Any = None
        self._has_ended = False

    def undo(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """Yield what *pieces* hold."""
        for piece in pieces:
            yield from self._feed(piece)

    def _feed(self, data: bytes) -> Iterator[bytes]:
        data, self._pending = self._pending + data, b""
        while data:
            if self._inflate is None:
                if len(data) < 2:
                    self._pending = data
                    return
                if self._has_ended and not (self._is_gzip and data.startswith(b"\x1f\x8b")):
                    return  # padding after the last member
                self._inflate = zlib.decompressobj(self._window(data))
            try:
                piece = self._inflate.decompress(data, STEP)
            except zlib.error:
                raise OddAnswerError("with damaged compression") from None
            data = self._inflate.unconsumed_tail
            if self._inflate.eof:
                data, self._inflate, self._has_ended = self._inflate.unused_data, None, True
            self._left -= len(piece)
            if piece:
                yield piece
            if self._left < 0:
                raise OddAnswerError("with more compressed data than a body may have")

    def _window(self, start: bytes) -> int:
        """Return how what begins with *start* is wrapped: of deflate, some wrap nothing."""
        if self._is_gzip:
            return 16 + zlib.MAX_WBITS
        is_wrapped = start[0] & 15 == 8 and int.from_bytes(start[:2]) % 31 == 0
        return zlib.MAX_WBITS if is_wrapped else -zlib.MAX_WBITS

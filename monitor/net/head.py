"""The head of an HTTP response, read as curl and browsers do, and written as the parser wants it.

Proxies and content networks write heads that are legal, or harmless, and that a parser refuses:
hundreds of lines, lines of many KiB, one length twice. Of what it can't refuse it needs little. So
a head of up to `MAX_HEAD` bytes is read here, and only what anybody asks for is passed on. What
can't be read is an `OddAnswerError`, whose text goes on after "answered".
"""

import re
from collections import defaultdict
from dataclasses import dataclass
from typing import Final

import aiohttp

MAX_HEAD: Final = 64 * 1024
"""Bytes, all interim responses (1xx) that come before included."""

KEPT: Final = (b"content-type", b"content-encoding", b"date", b"location", b"retry-after")

_END: Final = re.compile(rb"\r?\n\r?\n")
_FOLD: Final = re.compile(rb"\r?\n[ \t]+")
_STATUS: Final = re.compile(
    rb"HTTP/([0-9](?:\.[0-9])?)[ \t]+([1-9][0-9]{2})(?:[ \t].*)?", re.IGNORECASE
)
_START: Final = b"HTTP/"
_TLS: Final = (b"\x15\x03", b"\x16\x03")  # an alert, a handshake


class OddAnswerError(aiohttp.ClientError):
    """An answer that can't be read; the text says why, in words of ours alone."""


@dataclass(frozen=True, slots=True)
class Head:
    """A head as the parser is to read it; *length* is that of the body, None if it is not said."""

    content: bytes
    status: int
    length: int | None


def find_end(received: bytes | bytearray, since: int = 0) -> int | None:
    """Return where the head in *received* ends, None if that is to come.

    *since* is how much was looked at before. Raise OddAnswerError if it is none.
    """
    start = bytes(received[: len(_START) + 2]).lstrip(b"\r\n")[: len(_START)]
    if start.startswith(_TLS):
        raise OddAnswerError("with TLS; its address has to begin with https://")
    if start.upper() != _START[: len(start)]:
        raise OddAnswerError("with something that is not HTTP")
    end = _END.search(received, max(0, since - 3))
    if (end is None and len(received) > MAX_HEAD) or (end and end.end() > MAX_HEAD):
        raise OddAnswerError(f"with a head of more than {MAX_HEAD // 1024} KiB")
    return end.end() if end else None


def read_head(received: bytes) -> Head:
    """Read a whole head; raise OddAnswerError if it can't be."""
    if b"\0" in received:
        raise OddAnswerError("with NUL bytes in its head")
    received = received.strip(b"\r\n")
    if b"\n " in received or b"\n\t" in received:
        received = _FOLD.sub(b" ", received)
    lines = received.splitlines()
    status = _STATUS.fullmatch(lines[0])
    if status is None:
        raise OddAnswerError("with a status that is none")
    fields = _fields(lines[1:])
    code = int(status[2])
    lengths = fields[b"content-length"]
    codings = _words(fields[b"transfer-encoding"], b"identity")
    length = None
    kept = [(name, value) for name in KEPT for value in fields[name]]
    kept += [(b"content-encoding", coding) for coding in codings if coding != b"chunked"]
    if b"chunked" in codings:
        kept.append((b"transfer-encoding", b"chunked"))  # whatever length is said besides
    elif lengths and not codings:
        length = _length(lengths)
        kept.append((b"content-length", b"%d" % length))
    connection = set(_words(fields[b"connection"])) & {b"close", b"keep-alive"}
    if codings and lengths:
        connection = {b"close"}
    kept += [(b"connection", word) for word in connection]
    version = b"1.0" if status[1] == b"1.0" else b"1.1"
    head = [b"HTTP/%s %d " % (version, code), *(b"%s: %s" % field for field in kept)]
    return Head(b"\r\n".join((*head, b"", b"")), code, length)


def _fields(lines: list[bytes]) -> dict[bytes, list[bytes]]:
    """Return the values of each name, in small letters; of one that is odd nobody asks."""
    fields: dict[bytes, list[bytes]] = defaultdict(list)
    for line in lines:
        name, colon, value = line.partition(b":")
        if not colon:
            raise OddAnswerError("with a line in its head that is no header")
        fields[name.strip().lower()].append(value.strip())
    return fields


def _words(values: list[bytes], *without: bytes) -> list[bytes]:
    words = (word.strip().lower() for value in values for word in value.split(b","))
    return [word for word in words if word and word not in without]


def _length(values: list[bytes]) -> int:
    """Return the one length that *values* say, however often."""
    lengths = set(_words(values))
    if len(lengths) > 1:
        raise OddAnswerError("with two lengths")
    word = lengths.pop() if lengths else b""
    if not word.isdigit() or len(word) > 15:
        raise OddAnswerError("with a length that is no number")
    return int(word)

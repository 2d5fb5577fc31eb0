"""The page of metrics as pieces that are compressed once and put together for every scrape.

A gzip stream may be cut at any point where its compressor was flushed and had nothing behind it to
refer to: each piece is made so, and any order of pieces is one ordinary gzip stream with a checksum
over the whole. A stream of several gzip members would spare the checksum, but curl and others read
the first member and silently drop the rest.
"""

import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

_FASTEST: Final = 1
_BARE: Final = -zlib.MAX_WBITS
"""What makes zlib write neither header nor checksum."""

_START: Final = b"\x1f\x8b\x08\0\0\0\0\0\x04\xff"
"""The head of a gzip stream: deflate, no name, no time, the fastest way, no system."""

_END: Final = b"\x03\0"  # the last block, empty


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of the page, as it is and compressed."""

    text: bytes
    packed: bytes


def piece(text: str | bytes) -> Piece:
    """Make a piece of *text*; half a character becomes a question mark."""
    plain = text if isinstance(text, bytes) else text.encode(errors="replace")
    pack = zlib.compressobj(_FASTEST, zlib.DEFLATED, _BARE)
    return Piece(plain, pack.compress(plain) + pack.flush(zlib.Z_SYNC_FLUSH))


def page(pieces: Iterable[Piece], *, compressed: bool) -> bytes:
    """Put *pieces* together: as they are, or *compressed* into one gzip stream."""
    if not compressed:
        return b"".join([one.text for one in pieces])
    packed, checksum, size = [_START], 0, 0
    for one in pieces:
        packed.append(one.packed)
        checksum = zlib.crc32(one.text, checksum)
        size += len(one.text)
    return b"".join([*packed, _END, struct.pack("<II", checksum, size % 2**32)])

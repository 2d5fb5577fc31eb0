"""The Prometheus text format, in chunks that are compressed once and put together at each scrape.

A gzip stream may be cut at any point where its compressor was flushed and had nothing behind it to
refer to: each chunk is made so, and any order of chunks is one ordinary gzip stream with a checksum
over the whole. A stream of several gzip members would spare the checksum, but curl and others read
the first member and silently drop the rest.
"""

import functools
import struct
import zlib
from collections.abc import Iterable, Iterator
from typing import Final, TypeAlias

from .families import Family

_HEADER: Final = b"\x1f\x8b\x08\0\0\0\0\0\x04\xff"  # deflate, no name, no time, fastest, no system
_LAST_BLOCK: Final = b"\x03\0"
_TAIL: Final = struct.Struct("<II")  # of a gzip stream, too
_ZEROS: Final = memoryview(bytes(2**16))

PIECE_SIZE: Final = 64 * 1024
"""How large the pieces of a page are. One large object would be memory that malloc never gives
back: it takes the largest that was ever returned for its measure of what to keep."""


Chunk: TypeAlias = bytes
"""A part of the exposition, compressed; behind it the checksum, but for its place, and the size.

The text itself would take five times the room, and an object for the three as much as many chunks.
"""


def chunk(text: str) -> Chunk:
    """Make a chunk of *text*; a lone surrogate becomes a question mark."""
    plain = text.encode(errors="replace")
    compressor = zlib.compressobj(1, wbits=-zlib.MAX_WBITS)  # neither header nor checksum
    compressed = compressor.compress(plain) + compressor.flush(zlib.Z_SYNC_FLUSH)
    return compressed + _TAIL.pack(zlib.crc32(plain) ^ _skip(len(plain), 0), len(plain))


def _skip(size: int, checksum: int) -> int:
    """Return *checksum* as it is after so many zero bytes.

    CRC-32 is linear: that of two texts is the first one's behind which zeros take the place of the
    second, xor what the second one brings, which does not depend on the first.
    """
    while size > len(_ZEROS):
        checksum, size = zlib.crc32(_ZEROS, checksum), size - len(_ZEROS)
    return zlib.crc32(_ZEROS[:size], checksum)


@functools.cache
def header(family: Family) -> Chunk:
    """Write the lines that introduce a metric."""
    name = family.name
    return chunk(f"# HELP {name} {family.help}\n# TYPE {name} {family.type}\n")


def escape(value: str) -> str:
    """Write a label's value as the format wants it."""
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


class Page:
    """The whole exposition in pieces, as one gzip stream or as the text, *size* bytes together.

    It is put together as it is read: until then it holds the chunks that there are anyway.
    """

    def __init__(self, chunks: Iterable[Chunk], *, compressed: bool) -> None:
        self._chunks = list(chunks)
        self._compressed = compressed
        if compressed:
            ends = len(_HEADER) + len(_LAST_BLOCK) + _TAIL.size
            self.size = ends + sum(len(chunk) - _TAIL.size for chunk in self._chunks)
        else:
            self.size = sum(_read_tail(chunk)[1] for chunk in self._chunks)

    def __iter__(self) -> Iterator[bytes]:
        """Return its pieces, each of some PIECE_SIZE."""
        return self._stream() if self._compressed else self._text()

    def _stream(self) -> Iterator[bytes]:
        parts: list[bytes | memoryview] = [_HEADER]
        checksum, size, waiting = 0, 0, 0
        for chunk in self._chunks:
            own_checksum, own_size = _read_tail(chunk)
            checksum = _skip(own_size, checksum) ^ own_checksum
            size += own_size
            parts.append(memoryview(chunk)[: -_TAIL.size])
            waiting += len(chunk)
            if waiting >= PIECE_SIZE:
                yield b"".join(parts)
                parts, waiting = [], 0
        yield b"".join([*parts, _LAST_BLOCK, _TAIL.pack(checksum, size % 2**32)])

    def _text(self) -> Iterator[bytes]:
        stream = zlib.decompressobj(zlib.MAX_WBITS | 16)
        for compressed in self._stream():
            rest = compressed
            while rest:
                yield stream.decompress(rest, PIECE_SIZE)
                rest = stream.unconsumed_tail
        yield stream.flush()


def _read_tail(chunk: Chunk) -> tuple[int, int]:
    """Return the checksum and the size of the text of *chunk*."""
    checksum, size = _TAIL.unpack_from(chunk, len(chunk) - _TAIL.size)
    return checksum, size

"""The Prometheus text format, in chunks that are compressed once and put together at each scrape.

A gzip stream may be cut at any point where its compressor was flushed and had nothing behind it to
refer to: each chunk is made so, and any order of chunks is one ordinary gzip stream with a checksum
over the whole. A stream of several gzip members would spare the checksum, but curl and others read
the first member and silently drop the rest.
"""

import functools
import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from .families import Family

_HEADER: Final = b"\x1f\x8b\x08\0\0\0\0\0\x04\xff"  # deflate, no name, no time, fastest, no system
_LAST_BLOCK: Final = b"\x03\0"


@dataclass(frozen=True, slots=True)
class Chunk:
    """A part of the exposition, as it is and compressed."""

    text: bytes
    compressed: bytes


def chunk(text: str) -> Chunk:
    """Make a chunk of *text*; a lone surrogate becomes a question mark."""
    plain = text.encode(errors="replace")
    compressor = zlib.compressobj(1, wbits=-zlib.MAX_WBITS)  # neither header nor checksum
    return Chunk(plain, compressor.compress(plain) + compressor.flush(zlib.Z_SYNC_FLUSH))


@functools.cache
def header(family: Family) -> Chunk:
    """Write the lines that introduce a metric."""
    name = family.name
    return chunk(f"# HELP {name} {family.help}\n# TYPE {name} {family.type}\n")


def escape(value: str) -> str:
    """Write a label's value as the format wants it."""
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def expose(chunks: Iterable[Chunk], *, compressed: bool) -> bytes:
    """Put *chunks* together: as they are, or *compressed* into one gzip stream."""
    if not compressed:
        return b"".join([chunk.text for chunk in chunks])
    parts, checksum, size = [_HEADER], 0, 0
    for chunk in chunks:
        parts.append(chunk.compressed)
        checksum = zlib.crc32(chunk.text, checksum)
        size += len(chunk.text)
    return b"".join([*parts, _LAST_BLOCK, struct.pack("<II", checksum, size % 2**32)])

"""The requests that are taken: bounded, and read by every program on the way in one way only.

h11 is generous: it takes line feeds for line ends, folded lines, lengths told twice, and heads of
any size if they arrive at once. A proxy in front may read such a request as another one.
"""

import re
from typing import Final

import h11

MAX_HEAD_BYTES: Final = 16 * 1024
MAX_HEADERS: Final = 100

_ODD_LINE: Final = re.compile(rb"(?<!\r)\n|\n[ \t]")
_SINGLE: Final = (b"authorization", b"content-length", b"host", b"transfer-encoding")


class Requests(h11.Connection):
    """What h11 makes of the bytes of one connection, unless it could mean two things."""

    def __init__(self) -> None:
        super().__init__(h11.SERVER, max_incomplete_event_size=MAX_HEAD_BYTES)

    def next_event(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        """Return what comes next; raise RemoteProtocolError at what is refused."""
        if self.their_state is h11.IDLE:
            _check_head(self.trailing_data[0])
        event = super().next_event()
        if isinstance(event, h11.Request):
            _check_body(event)
        return event


def _check_head(received: bytes) -> None:
    head, end, _ = received.partition(b"\r\n\r\n")
    if len(head) > MAX_HEAD_BYTES or head.count(b"\n") > MAX_HEADERS:
        raise h11.RemoteProtocolError("the head is too long")
    if _ODD_LINE.search(head):
        raise h11.RemoteProtocolError("a line of the head ends with LF alone or is folded")
    if not end:
        return
    headers = [line.lower().partition(b":") for line in head.split(b"\r\n")[1:]]
    names = [name for name, _, _ in headers]
    if any(names.count(name) > 1 for name in _SINGLE):
        raise h11.RemoteProtocolError("a header stands there twice")
    if b"content-length" in names and b"transfer-encoding" in names:
        raise h11.RemoteProtocolError("the body has two lengths")
    if any(name == b"content-length" and b"," in value for name, _, value in headers):
        raise h11.RemoteProtocolError("the body's length is a list")


def _check_body(request: h11.Request) -> None:
    headers = dict(request.headers)
    chunked = b"transfer-encoding" in headers
    if chunked and request.http_version < b"1.1":
        raise h11.RemoteProtocolError("HTTP/1.0 has no chunks")
    if request.method in {b"GET", b"HEAD"} and (chunked or int(headers.get(b"content-length", 0))):
        raise h11.RemoteProtocolError("a request to read has a body")

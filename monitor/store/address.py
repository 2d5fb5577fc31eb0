"""The address of the database: `storage.url`."""

from typing import Final

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from monitor.core.url import is_loopback

_FORMS: Final = "must be sqlite:/// followed by the path of a file, or postgresql://user:password@host:port/name"
_UNSAFE_MODES: Final = ("disable", "allow", "prefer")
"""Of `sslmode`; the last is libpq's default, which goes on in clear if the server asks for it."""

_SIGNS: Final = "; write @, :, / and ? in the user or the password as %40, %3A, %2F and %3F"


def parse(url: str) -> URL:
    """Read *url*; raise ValueError, which repeats no part of it, if it can't be an address.

    The password of `postgresql://user:p@ss@host/name` would in part be taken for the host, and be
    shown as that: such an address is refused.
    """
    try:
        address = make_url(url)
    except (ArgumentError, ValueError):
        raise ValueError(_FORMS + _SIGNS) from None
    name = address.database or ""
    if address.drivername in ("postgres", "postgresql"):
        if not name or url.count("@") > 1:
            raise ValueError(_FORMS + _SIGNS)
        return address.set(drivername="postgresql")
    if address.drivername != "sqlite" or address.host or name in ("", ":memory:"):
        raise ValueError(_FORMS)
    return address


def is_in_clear(address: URL) -> bool:
    """Return whether a network may read, or change, what goes to the server at *address*."""
    query = address.normalized_query
    hosts = [address.host] if address.host else query.get("host", ())
    modes = query.get("sslmode", ("prefer",))
    return modes[-1] in _UNSAFE_MODES and any(map(_is_elsewhere, hosts))


def _is_elsewhere(host: str | None) -> bool:
    """Return whether *host* is neither this machine nor a folder with a socket."""
    is_socket = not host or host.startswith(("/", "@"))
    return not is_socket and not is_loopback(host or "")


def describe(address: URL) -> str:
    """Return what to call the database at *address*: a file, or a name and its host; no more."""
    name = str(address.database)
    return f"{name} at {address.host}" if address.host else name

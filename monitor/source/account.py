"""One account as it comes over the wire, and what we make of it."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from monitor.core.model import ListedAccount, Session, Status
from monitor.core.secret import Secret

LONGEST_ID: Final = 200
LONGEST_LINK: Final = 2000
LINK_LEFT_OUT: Final = "reconnection link left out, it is not a safe address of an allowed origin"

_LIMITS: Final = {"name": 500, "url": 2000, "country": 64, "status": 64}
_STATUSES: Final = {
    "active": Status.ACTIVE,
    "reconnection_required": Status.RECONNECTION_REQUIRED,
    "frozen": Status.FROZEN,
}
_SAFE: Final = re.compile(r"[A-Za-z0-9._~:/?#@!$&+,;=%-]+")
_DEFAULT_PORTS: Final = {"https": 443, "http": 80}


class Wire(msgspec.Struct, gc=False, rename="camel", kw_only=True):
    """The needed fields of an account, as sent. The identification token is not among them."""

    id: str
    status: str
    name: str | None = None
    url: str | None = None
    country_code: str | None = None
    reconnection_session_id: str | None = None
    reconnection_link: str | None = None

    def __repr__(self) -> str:
        return f"Wire(id={self.id!a})"  # the link is no business of logs and tracebacks


@dataclass(frozen=True, slots=True)
class Entry:
    """An account as sent, what it was read as, and *notes* on what was odd about it."""

    wire: Wire
    seen: ListedAccount
    notes: tuple[str, ...]


def entry(wire: Wire, origins: Collection[str]) -> Entry | None:
    """Read one account; None when its id cannot be one."""
    if not _is_id(wire.id):
        return None
    status = _STATUSES.get(wire.status, Status.UNKNOWN)
    notes: tuple[str, ...] = ()
    session = None
    if status is Status.UNKNOWN:
        notes = (f"unknown status {_cut(wire.status, 'status')!a}",)
    elif status is Status.RECONNECTION_REQUIRED:
        session = session_of(wire.reconnection_session_id, wire.reconnection_link, origins)
        if wire.reconnection_link and (session is None or session.link is None):
            notes = (LINK_LEFT_OUT,)
    seen = ListedAccount(
        id=wire.id,
        name=_cut(wire.name, "name"),
        url=_cut(wire.url, "url"),
        country=_cut(wire.country_code, "country"),
        status=status,
        raw_status=_cut(wire.status, "status"),
        session=session,
    )
    return Entry(wire, seen, notes)


def session_of(session_id: object, link: object, origins: Collection[str]) -> Session | None:
    """Make a session of what was sent: without a link that is not safe, None if nothing is left."""
    known = None
    if isinstance(session_id, str) and _is_id(session_id) and "://" not in session_id:
        known = session_id  # an address could be the link itself, which must not pass for an id
    safe = Secret(link) if isinstance(link, str) and is_safe(link, origins) else None
    return None if known is None and safe is None else Session(known, safe)


def loose(fields: dict[str, Any]) -> Wire | None:
    """Make a `Wire` of an account whose fields have odd types; None when it has no id."""
    if not isinstance(fields.get("id"), str):
        return None
    return Wire(
        id=_clean(fields["id"]),
        status=_word(fields.get("status", "")),
        name=_text(fields.get("name")),
        url=_text(fields.get("url")),
        country_code=_text(fields.get("countryCode")),
        reconnection_session_id=_text(fields.get("reconnectionSessionId")),
        reconnection_link=_text(fields.get("reconnectionLink")),
    )


def origin(address: str) -> str | None:
    """Return scheme, host and port of *address* in one spelling; None if it is no web address."""
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname or "@" in parts.netloc:
        return None
    if port is None:
        port = _DEFAULT_PORTS[parts.scheme]
    return f"{parts.scheme}://{parts.hostname}:{port}"


def is_safe(link: str, origins: Collection[str]) -> bool:
    """Tell whether *link* leads to one of the *origins* (as `origin` spells them) and is clean."""
    if len(link) > LONGEST_LINK or _SAFE.fullmatch(link) is None:
        return False
    return origin(link) in origins


def _is_id(text: str) -> bool:
    return 0 < len(text) <= LONGEST_ID and not text.isspace() and "\0" not in text


def _cut(text: str | None, field: str) -> str:
    """Bound *text*, and replace NUL, which a database refuses to store."""
    return (text or "")[: _LIMITS[field]].replace("\0", "\ufffd")


def _text(value: object) -> str | None:
    return _clean(value) if isinstance(value, str) else None


def _clean(text: str) -> str:
    """Replace lone surrogates, which JSON can hold and UTF-8 cannot."""
    return text.encode("utf-8", "replace").decode()


def _word(status: object) -> str:
    """Write a status that should have been a word as one that no status can be mistaken for."""
    match status:
        case str():
            return _clean(status)
        case None:
            return "null"
        case bool() | int() | float():
            return str(status).lower()
        case list():
            return "(a list)"
        case _:
            return "(an object)"

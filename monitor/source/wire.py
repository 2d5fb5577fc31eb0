"""What Linked API sends, read leniently; an account as it is sent, and what is parsed from it."""

import json
import re
from collections.abc import Collection
from sys import intern
from typing import Any, Final

import msgspec

from monitor.core.model import ListedAccount, Session, Status
from monitor.core.secret import Secret
from monitor.core.text import sanitize
from monitor.core.url import split_web_url

MAX_ID: Final = 200  # characters, as all of these
MAX_NAME: Final = 500
MAX_URL: Final = 2000
MAX_WORD: Final = 64  # a status, a country
MALFORMED: Final = object()

_NEEDED: Final = frozenset(
    {
        *("success", "error", "type", "message", "result", "accounts", "session", "sessionId"),
        *("id", "name", "url", "countryCode", "status"),
        *("reconnectionSessionId", "reconnectionLink"),
        *("cancelAtPeriodEnd", "eligibleForTrial", "seats", "quantity"),
    }
)
_STATUSES: Final = {status.value: status for status in Status}
_SAFE: Final = re.compile(r"[A-Za-z0-9._~:/?#@!$&+,;=%-]+")
_DEFAULT_PORTS: Final = {"https": 443, "http": 80}


def loads(body: bytes) -> Any:
    """Read JSON as leniently as possible, or return `MALFORMED`; never raises.

    Keys that nobody needs (the identification tokens) are dropped as soon as they are read.
    """
    try:
        return json.loads(
            body.decode("utf-8-sig", "replace"),
            object_pairs_hook=lambda pairs: {k: v for k, v in pairs if k in _NEEDED},
            parse_constant=lambda _: None,
            parse_int=_integer,
        )
    except (ValueError, RecursionError):
        return MALFORMED


def _integer(digits: str) -> int | float:
    """Read a whole number: beyond 20 digits a float will do, and is not refused by Python."""
    return int(digits) if len(digits) <= 20 else float(digits)


class WireAccount(msgspec.Struct, gc=False, rename="camel", kw_only=True):
    """The needed fields of an account, as sent. The identification token is not among them."""

    id: str
    status: str
    name: str | None = None
    url: str | None = None
    country_code: str | None = None
    reconnection_session_id: str | None = None
    reconnection_link: str | None = None

    def __repr__(self) -> str:
        return f"WireAccount(id={self.id!a})"  # the link must not reach logs and tracebacks


def lenient(fields: object) -> WireAccount | None:
    """Make an account of *fields* whatever their types are; None if they have no id."""
    if not isinstance(fields, dict) or (id_ := _text(fields.get("id"))) is None:
        return None
    return WireAccount(
        id=id_,
        status=_status_text(fields.get("status", "")),
        name=_text(fields.get("name")),
        url=_text(fields.get("url")),
        country_code=_text(fields.get("countryCode")),
        reconnection_session_id=_text(fields.get("reconnectionSessionId")),
        reconnection_link=_text(fields.get("reconnectionLink")),
    )


def _text(value: object) -> str | None:
    """Return *value* if it is a text, without lone surrogates: JSON can hold them, UTF-8 cannot."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else None


def _status_text(status: object) -> str:
    """Write a status that should have been a word as one that no status can be mistaken for."""
    match status:
        case str():
            return status
        case list():
            return "(a list)"
        case dict():
            return "(an object)"
        case _:
            return json.dumps(status)


def parse_account(
    wire: WireAccount, origins: Collection[str]
) -> tuple[ListedAccount | None, str | None]:
    """Parse one account (None if its id cannot be one), with a warning about what is odd about it.

    What is kept shares its texts: words with all others, names and addresses with *wire*.
    """
    if not _is_id(wire.id):
        return None, None
    if wire.country_code is not None:
        wire.country_code = intern(wire.country_code)
    wire.status = intern(wire.status)
    status = _STATUSES.get(wire.status, Status.UNKNOWN)
    raw_status = sanitize(wire.status, limit=MAX_WORD)
    session = warning = None
    if status is Status.UNKNOWN:
        warning = f"unknown status {raw_status!a}"
    elif status is Status.RECONNECTION_REQUIRED:
        session = parse_session(wire.reconnection_session_id, wire.reconnection_link, origins)
        if wire.reconnection_link and (session is None or session.link is None):
            warning = "reconnection link left out, it is not a safe address of an allowed origin"
    listed = ListedAccount(
        id=wire.id,
        name=sanitize(wire.name or "", limit=MAX_NAME),
        url=sanitize(wire.url or "", limit=MAX_URL),
        country=sanitize(wire.country_code or "", limit=MAX_WORD),
        status=status,
        raw_status=raw_status,
        session=session,
    )
    return listed, warning


def parse_session(session_id: object, link: object, origins: Collection[str]) -> Session | None:
    """Parse a session, without its link if that is not safe; None if nothing is left."""
    valid_id = None
    if isinstance(session_id, str) and _is_id(session_id) and "://" not in session_id:
        valid_id = session_id  # a URL could be the link itself, which must not pass for an id
    safe_link = Secret(link) if isinstance(link, str) and is_safe(link, origins) else None
    return None if valid_id is None and safe_link is None else Session(valid_id, safe_link)


def _is_id(text: str) -> bool:
    return 0 < len(text) <= MAX_ID and not text.isspace() and "\0" not in text


def is_safe(link: str, origins: Collection[str]) -> bool:
    """Tell whether *link* is a URL of one of the *origins* without any odd character."""
    return len(link) <= MAX_URL and bool(_SAFE.fullmatch(link)) and origin(link) in origins


def origin(url: str) -> str | None:
    """Return scheme, host and port of *url* in one spelling; None if it is no web address."""
    parts = split_web_url(url)
    if parts is None or "@" in parts.netloc:
        return None
    return f"{parts.scheme}://{parts.hostname}:{parts.port or _DEFAULT_PORTS[parts.scheme]}"

"""Text of others made safe to show, to log and to store; points in time as people read them.

Names are hostile: they may hold line breaks, characters that cannot be seen, or such that turn the
direction of what surrounds them.

    clean      for people: one line, nothing invisible
    redact     for errors and logs: one line, printable, secrets masked
    sanitize   for machines: unchanged but for what JSON and databases refuse
"""

import re
import unicodedata
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

from .model import Micros

REDACTED: Final = "[hidden]"

_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,20}://\S*")
_CREDENTIAL: Final = re.compile(r"\b(?:linked|account|id|whsec)_[A-Za-z0-9_-]{8,}")
_INVISIBLE: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0\ufffe\uffff")
_STACKED: Final = re.compile(r"([\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff]{3})[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff]+")  # fmt: skip  # noqa: E501


def clean(text: str, limit: int = 80) -> str:
    """Return *text* on one line, without what cannot be seen or turns its surroundings around."""
    visible = "".join(map(_visible, unicodedata.normalize("NFC", text[: limit * 8])))
    return shorten(_STACKED.sub(r"\1", " ".join(visible.split())), limit)


def _visible(character: str) -> str:
    category = unicodedata.category(character)
    if character in _INVISIBLE or category in ("Cf", "Cs"):
        return ""
    return " " if category in ("Cc", "Zl", "Zp", "Zs") else character


def redact(text: str, *, limit: int, secret: str = "") -> str:
    """Return *text* on one line of at most *limit* printable characters, without secrets.

    URLs (a reconnection link is one), whatever looks like a token, and the text *secret* are
    masked before it is cut, so that no half of a secret remains.
    """
    if secret:
        text = text.replace(secret, REDACTED)
    text = _CREDENTIAL.sub(REDACTED, _URL.sub(REDACTED, text[: limit * 20]))
    printable = "".join(character if character.isprintable() else " " for character in text)
    return shorten(" ".join(printable.split()), limit)


def sanitize(text: str, *, limit: int) -> str:
    """Return the first *limit* characters of *text* without lone surrogates and NUL.

    The former are no UTF-8, the latter is refused by databases; all else is as it was.
    """
    return text[:limit].replace("\0", "\ufffd").encode("utf-8", "replace").decode()


def shorten(text: str, limit: int) -> str:
    """Return *text*, or its beginning and an ellipsis if it has more than *limit* characters."""
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


NO_TIMEZONE: Final = "must be a time zone such as UTC or Europe/Berlin"


def check_timezone(name: str) -> str:
    """Return *name*; raise ValueError if it is no time zone."""
    try:
        ZoneInfo(name)
    except (ValueError, OSError, LookupError):
        raise ValueError(NO_TIMEZONE) from None
    return name


def format_time(moment: Micros, timezone: str) -> str:
    """Write a point in time as the clocks of *timezone* show it: `Mon 23 Nov 2026, 09:00 CET`."""
    local = datetime.fromtimestamp(moment / 1_000_000, UTC).astimezone(ZoneInfo(timezone))
    return f"{local:%a} {local.day} {local:%b %Y, %H:%M %Z}"


def iso_time(moment: Micros) -> str:
    """Write a point in time as ISO 8601 in UTC: `2026-11-23T08:00:00.000Z`."""
    text = datetime.fromtimestamp(moment / 1_000_000, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")

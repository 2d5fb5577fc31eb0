"""How texts of others and points in time are shown to people.

Names are hostile: they may hold line breaks, characters that cannot be seen, or such that turn the
direction of what surrounds them.
"""

import re
import unicodedata
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

from .model import Micros

NAME_LIMIT: Final = 80

_BLANK: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0\ufffe\uffff")
_STACKED: Final = re.compile(r"([\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff]{3})[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff]+")  # fmt: skip  # noqa: E501


def clean(text: str, limit: int = NAME_LIMIT) -> str:
    """Return *text* on one line, without what cannot be seen or turns its surroundings around."""
    seen = "".join(map(_visible, unicodedata.normalize("NFC", text[: limit * 8])))
    line = _STACKED.sub(r"\1", " ".join(seen.split()))
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def _visible(character: str) -> str:
    kind = unicodedata.category(character)
    if character in _BLANK or kind in ("Cf", "Cs"):
        return ""
    return " " if kind in ("Cc", "Zl", "Zp", "Zs") else character


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

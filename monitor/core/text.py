"""Text of others made safe to show, to log and to store; points in time as people read them.

Names are hostile: they may hold line breaks, characters that cannot be seen, or such that turn the
direction of what surrounds them, addresses that a program of the reader would make a link, or
sentences that pass for ours.

    clean      for people: one line, nothing that hides, no address that becomes a link
    unstack    for a terminal, too: no marks without end above and below a line
    set_off    for people, where a sentence goes on around it: cleaned text in quotation marks
    redact     for errors and logs: one line, printable, secrets masked
    visible    for terminals and logs: escapes in place of what hides
    sanitize   for machines: unchanged but for what JSON and databases refuse
"""

import re
import unicodedata
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

from .model import Micros

REDACTED: Final = "[hidden]"

MIN_PART: Final = 8
"""So many characters of a secret are not shown either."""

_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,20}://\S*")
_CREDENTIAL: Final = re.compile(r"\b(?:linked|account|id|whsec)_[A-Za-z0-9_-]{8,}")
_INVISIBLE: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0\ufffe\uffff")
_UNSEEN: Final = frozenset(("Cc", "Cf", "Cs", "Co", "Zl", "Zp"))
_NON_JOINER: Final = "\u200c"
_JOINER: Final = "\u200d"
_EMOJI_STYLE: Final = "\ufe0f"
_VIRAMA: Final = 9  # its combining class: the sign that takes the vowel from a letter of India

MAX_MARKS: Final = 4
"""How many marks a letter may bear: what Burmese, Tibetan and pointed Hebrew need."""

WORD_JOINER: Final = "\u2060"
"""It is not seen, and around the marks of an address it keeps programs from making it a link."""

LEFT_TO_RIGHT: Final = "\u200e"
"""It is not seen, and around a name in Hebrew or Arabic it keeps the sentence in its direction, and
what follows where it is: `(3f1c)` after such a name would stand before it."""

_OF_ADDRESSES: Final = re.compile(r"[.:@\u3002\uff0e\uff1a\uff20\uff61](?=\S)|/(?=/)|\\(?=\\)")
_JOINED_TWICE: Final = re.compile(f"{WORD_JOINER}+")
_QUOTES: Final = re.compile(
    r"[\u02ba\u02ee\u201c-\u201f\u2033\u275d\u275e\u301d-\u301f\uff02]|(?<!\w)\"|\"(?!\w)"
)
_APOSTROPHE: Final = "'"
_APOSTROPHES: Final = re.compile(r"['\u2018-\u201b\u2032`\u00b4]{2,}")  # look like the others


def clean(text: str, limit: int = 80) -> str:
    """Return *text* on one line that shows all that it holds, turns nothing around and can't link.

    Programs that show it take what looks like an address for one; word joiners keep them from it.
    """
    text = text[: limit * 8]
    if not (text.isascii() and text.isprintable()):
        text = unstack("".join(_without_hidden(unicodedata.normalize("NFC", text))))
    line = _OF_ADDRESSES.sub(rf"{WORD_JOINER}\g<0>{WORD_JOINER}", " ".join(text.split()))
    return shorten(_JOINED_TWICE.sub(WORD_JOINER, line), limit)


def unstack(text: str) -> str:
    """Return *text* without marks that no letter bears, or that are too many on one."""
    kept, marks = [" "], 0
    for character in text:
        category = unicodedata.category(character)
        if category.startswith("M"):
            marks = 0 if category == "Mc" else marks + 1  # such takes up room of its own
            if marks > MAX_MARKS or kept[-1] == " ":
                continue
        elif category != "Cf":
            marks = 0
        kept.append(character)
    return "".join(kept[1:])


def _without_hidden(text: str) -> Iterator[str]:
    """Yield what of *text* can be seen or shapes what can."""
    before = " "
    for character, after in zip(text, f"{text[1:]} ", strict=False):
        category = unicodedata.category(character)
        if category in ("Cc", "Zl", "Zp", "Zs"):
            character = " "  # noqa: PLW2901 - as it is seen from here on
        elif (category in ("Cf", "Cs") or character in _INVISIBLE) and not _shapes(
            character, before, after
        ):
            continue
        before = character
        yield character


def _shapes(character: str, before: str, after: str) -> bool:
    """Return whether it decides what its neighbours look like: as letters, or as one emoji."""
    if character not in (_JOINER, _NON_JOINER):
        return False
    if unicodedata.combining(before) == _VIRAMA:
        return True
    if character == _NON_JOINER:
        is_arabic = unicodedata.bidirectional(before) in ("AL", "NSM")
        return is_arabic and unicodedata.bidirectional(after) == "AL"
    if unicodedata.combining(after) == _VIRAMA:
        return before.isalpha()
    is_emoji = before == _EMOJI_STYLE or unicodedata.category(before) in ("So", "Sk")
    return is_emoji and unicodedata.category(after) == "So"


def set_off(text: str) -> str:
    """Return cleaned *text* in quotation marks that nothing in it can be mistaken for.

    Programs take the direction of a line from its first letter, and that of digits and brackets
    from the letter before them; both are those of the sentence.
    """
    turns = any(unicodedata.bidirectional(character) in ("R", "AL") for character in text)
    mark = LEFT_TO_RIGHT if turns else ""
    return f"{mark}\u201c{without_quotes(text)}\u201d{mark}"


def bare(text: str) -> str:
    """Return *text* without what is only there for programs that show it to people."""
    return text.replace(WORD_JOINER, "").replace(LEFT_TO_RIGHT, "")


def without_quotes(text: str) -> str:
    """Return *text* with an apostrophe for each quotation mark, or what looks like one."""
    return _APOSTROPHES.sub(_APOSTROPHE, _QUOTES.sub(_APOSTROPHE, text))


def redact(text: str, *, limit: int, secret: str = "") -> str:
    """Return *text* on one line of at most *limit* printable characters, without secrets.

    URLs (a reconnection link is one), whatever looks like a token, and the text *secret* with
    all longer parts of it are masked before it is cut, so that no half of a secret remains.
    """
    text = text[: limit * 20]
    if secret:
        text = _without(text, secret)
    text = _CREDENTIAL.sub(REDACTED, _URL.sub(REDACTED, text))
    printable = "".join(character if character.isprintable() else " " for character in text)
    return shorten(" ".join(printable.split()), limit)


def visible(text: str) -> str:
    """Return *text* with escapes for what moves a terminal's cursor, colours it, or turns it round.

    For what is to be read as it is, by people and machines.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        ascii(character)[1:-1] if unicodedata.category(character) in _UNSEEN else character
        for character in text
    )


def _without(text: str, secret: str) -> str:
    """Mask what *text* has of *secret*, if that is `MIN_PART` characters or all of it."""
    size = min(MIN_PART, len(secret))
    parts = {secret[start : start + size] for start in range(len(secret) - size + 1)}
    shown: list[str] = []
    end = 0  # of what is masked
    for at, character in enumerate(text):
        if text[at : at + size] in parts:
            if at >= end:
                shown.append(REDACTED)
            end = at + size
        if at >= end:
            shown.append(character)
    return "".join(shown)


def sanitize(text: str, *, limit: int) -> str:
    """Return the first *limit* characters of *text* without lone surrogates and NUL.

    The former are no UTF-8, the latter is refused by databases; all else is as it was, and if that
    is all, it is *text* itself and no copy.
    """
    sanitized = text[:limit].replace("\0", "\ufffd").encode("utf-8", "replace").decode()
    return text if sanitized == text else sanitized


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
    """Write a point in time as the clocks of a *timezone* show it: `Mon 23 Nov 2026, 09:00 UTC`."""
    day, hour = format_date(moment, timezone), format_clock(moment, timezone)
    return f"{day}, {hour} {format_zone(moment, timezone)}"


def format_date(moment: Micros, timezone: str) -> str:
    """Write the date of a point in time: `Mon 23 Nov 2026`."""
    local = _local(moment, timezone)
    return f"{local:%a} {local.day} {local:%b %Y}"


def format_clock(moment: Micros, timezone: str, *, seconds: bool = False) -> str:
    """Write what the clocks of *timezone* show: `09:00`, or with *seconds* `09:00:00`."""
    return _local(moment, timezone).strftime("%H:%M:%S" if seconds else "%H:%M")


def format_zone(moment: Micros, timezone: str) -> str:
    """Write what the time of a *timezone* is called at a point in time: `CET`."""
    return f"{_local(moment, timezone):%Z}"


def format_interval(start: Micros, end: Micros, timezone: str) -> str:
    """Write from when to when; what is the same stands once."""
    first, last = format_time(start, timezone), format_time(end, timezone)
    if first == last:
        return first
    zone = f" {format_zone(start, timezone)}"
    if last.endswith(zone):
        first = first.removesuffix(zone)
        last = last.removeprefix(f"{format_date(start, timezone)}, ")
    return f"{first} to {last}"


def _local(moment: Micros, timezone: str) -> datetime:
    return datetime.fromtimestamp(moment / 1_000_000, UTC).astimezone(ZoneInfo(timezone))


def iso_time(moment: Micros) -> str:
    """Write a point in time as ISO 8601 in UTC: `2026-11-23T08:00:00.000Z`."""
    text = datetime.fromtimestamp(moment / 1_000_000, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")

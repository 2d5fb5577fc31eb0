"""How long a server asks us to wait: the header `Retry-After`, in seconds or as a date."""

import re
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final

from .duration import Duration
from .model import Micros

_SECONDS: Final = re.compile(r"[0-9]{1,300}")


def http_date(text: str) -> Micros | None:
    """Read a date as HTTP writes it; None where it is missing or makes no sense."""
    try:
        moment = parsedate_to_datetime(text)
        return int(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()) * 1_000_000
    except (ValueError, TypeError, OverflowError):
        return None


def retry_after(text: str, *, now: Micros | None, limit: Duration) -> Duration | None:
    """Read `Retry-After`, at most *limit*; None where it makes no sense or asks for nothing.

    A date needs to know what time it is *now*.
    """
    text = text.strip()
    wait = 0
    if _SECONDS.fullmatch(text):
        wait = int(text) * 1_000_000
    elif now is not None and (until := http_date(text)) is not None:
        wait = until - now
    return Duration(min(wait, limit)) if wait > 0 else None

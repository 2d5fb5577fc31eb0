"""What an answer of Linked API means when it is not the one we asked for.

`error.type` decides, then the HTTP status: 401 alone does not mean that the token is bad.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from monitor.core.duration import Duration
from monitor.core.errors import ApiError
from monitor.core.model import Cause
from monitor.core.retry_after import http_date, retry_after
from monitor.core.text import redact

from .wire import MALFORMED, loads

LONGEST_WAIT: Final = Duration.parse("15m")

_CAUSES: Final = {
    "linkedApiTokenRequired": Cause.TOKEN_REJECTED,
    "invalidLinkedApiToken": Cause.TOKEN_REJECTED,
    "tooManyRequests": Cause.RATE_LIMITED,
    "dailyConnectionAttemptsExceeded": Cause.BAD_RESPONSE,  # hours, not seconds, whatever HTTP says
}
_TYPE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")


def refused(status: int, headers: Mapping[str, str], body: bytes, *, secret: str = "") -> ApiError:
    """Say what an answer with an HTTP *status* other than 2xx means."""
    # A date is compared with the date of the answer itself: no clock of ours, no skew.
    now = http_date(headers.get("date", ""))
    wait = retry_after(headers.get("retry-after", ""), now=now, longest=LONGEST_WAIT)
    found = loads(body)
    if isinstance(found, dict) and found.get("success") is not True:
        error = found.get("error")
        if isinstance(error, dict) and isinstance(error.get("type"), str):
            return api_error(error, status=status, wait=wait, secret=secret)
    if status == 429:
        cause = Cause.RATE_LIMITED
    else:
        cause = Cause.UNREACHABLE if status >= 500 else Cause.BAD_RESPONSE
    return ApiError(
        f"Linked API answered HTTP {status}{_shape(status, headers, body, found)}",
        cause=cause,
        ambiguous=status >= 500,
        retry_after=wait,
    )


def unusable(body: bytes, found: object) -> ApiError:
    """Say what is wrong with the *body* of a 2xx answer, which was read as *found*."""
    return ApiError(
        f"Linked API answered{_shape(200, {}, body, found)}",
        cause=Cause.BAD_RESPONSE,
        ambiguous=True,
    )


def api_error(
    error: Any, *, status: int = 200, wait: Duration | None = None, secret: str = ""
) -> ApiError:
    """Turn the *error* of an answer with `success: false` into ours, whatever its shape."""
    fields = error if isinstance(error, dict) else {"message": error}
    kind, message = fields.get("type"), fields.get("message")
    if not (isinstance(kind, str) and _TYPE.fullmatch(kind) and _is_public(kind, secret)):
        kind = None
    cause = _CAUSES.get(kind or "")
    if cause is None:
        cause = Cause.RATE_LIMITED if status == 429 else Cause.BAD_RESPONSE
    text = f"Linked API refused the request: {kind or 'without a readable error type'}"
    if isinstance(message, str) and (detail := redact(message, limit=200, secret=secret)):
        text += f" ({detail})"
    return ApiError(text, cause=cause, type=kind, retry_after=wait)


def _is_public(word: str, secret: str) -> bool:
    return redact(word, limit=64, secret=secret) == word


def _shape(status: int, headers: Mapping[str, str], body: bytes, found: object) -> str:
    if 300 <= status < 400:
        return ", a redirect; redirects are not followed"
    if not body.strip():
        return " with an empty body"
    if found is not MALFORMED:
        return " with JSON of another shape"
    if "html" in headers.get("content-type", "").lower() or body.lstrip()[:1] == b"<":
        return " with an HTML page"
    return " with something that is not complete JSON"

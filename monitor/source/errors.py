"""What can go wrong between us and Linked API, as an `ApiError` in our own words.

`error.type` decides, then the HTTP status: 401 alone does not mean that the token is bad.
Texts of httpx and aiohttp may hold URLs with credentials, so none of them is passed on.
"""

import errno
import re
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any, Final

import aiohttp
import httpx

from monitor.core.backoff import http_date, retry_after
from monitor.core.duration import Duration
from monitor.core.errors import ApiError
from monitor.core.model import Cause
from monitor.core.text import redact
from monitor.net.failure import connect_failure, refused_by_proxy
from monitor.net.head import OddAnswerError

from .wire import MALFORMED, loads

MAX_RETRY_AFTER: Final = Duration.parse("15m")

_CAUSES: Final = {
    "linkedApiTokenRequired": Cause.TOKEN_REJECTED,
    "invalidLinkedApiToken": Cause.TOKEN_REJECTED,
    "tooManyRequests": Cause.RATE_LIMITED,
    "subscriptionRequired": Cause.SUBSCRIPTION,
    "dailyConnectionAttemptsExceeded": Cause.BAD_RESPONSE,  # hours, not seconds, whatever HTTP says
}
_TYPE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")


@dataclass(eq=False, repr=False)
class ExchangeError(ApiError):
    """The exchange ended without a whole response.

    *outcome* is the label of the metrics; *stale* says that the connection was closed before
    anything came back, as it is when the server has just given up one that was kept alive.
    """

    _: KW_ONLY
    cause: Cause = Cause.UNREACHABLE
    ambiguous: bool = True
    outcome: str = "network"
    stale: bool = False

    def __str__(self) -> str:
        return f"Linked API {self.message}"


def exchange_error(error: Exception, *, responded: bool) -> ExchangeError:
    """Say what *error* means; *responded* says that the head of a response had come."""
    cause: BaseException = error
    if isinstance(error, httpx.HTTPError) and error.__cause__:
        cause = error.__cause__  # aiohttp's own, which says more
    if reason := connect_failure(error):
        outcome = "timeout" if isinstance(cause, aiohttp.ConnectionTimeoutError) else "network"
        return ExchangeError(f"could not be reached: {reason}", outcome=outcome, ambiguous=False)
    match cause:
        case OddAnswerError():
            return unreadable(str(cause))
        case aiohttp.ClientPayloadError():
            return ExchangeError("broke off in the middle of its answer")
        case (
            aiohttp.ServerDisconnectedError()
            | aiohttp.ClientConnectionResetError()
            | OSError(errno=errno.ECONNRESET | errno.EPIPE | errno.ECONNABORTED)
        ):
            text = "closed the connection instead of answering"
            return ExchangeError(text, stale=not responded)
        case aiohttp.ClientResponseError():
            return unreadable("with chunks that are damaged")
        case _:
            return ExchangeError(f"could not be reached: {type(cause).__name__}")


def unreadable(how: str) -> ExchangeError:
    """Say that a response came whose body cannot be read."""
    return ExchangeError(f"answered {how}", outcome="http_error", cause=Cause.BAD_RESPONSE)


def http_error(
    status: int, headers: Mapping[str, str], body: bytes, *, secret: str = ""
) -> ApiError:
    """Say what a response with an HTTP *status* other than 2xx means."""
    if status == 407:  # only proxies say so
        return ExchangeError(f"could not be reached: {refused_by_proxy(status)}", ambiguous=False)
    # A date is compared with the date of the response itself: no clock of ours, no skew.
    now = http_date(headers.get("date", ""))
    wait = retry_after(headers.get("retry-after", ""), now=now, limit=MAX_RETRY_AFTER)
    content = loads(body)
    match content:
        case {"error": {"type": str()} as error} if content.get("success") is not True:
            return api_error(error, status=status, wait=wait, secret=secret)
    cause = Cause.UNREACHABLE if status >= 500 else _client_error_cause(status)
    return ApiError(
        f"Linked API answered HTTP {status}{_describe(status, headers, body, content)}",
        cause=cause,
        ambiguous=status >= 500,
        retry_after=wait,
    )


def unexpected(body: bytes, content: object) -> ApiError:
    """Say what is wrong with the *body* of a 2xx response; *content* is what `loads` read in it."""
    text = f"Linked API answered{_describe(200, {}, body, content)}"
    return ApiError(text, cause=Cause.BAD_RESPONSE, ambiguous=True)


def incomplete(what: str) -> ApiError:
    """Say *what* a 2xx response does not hold."""
    return ApiError(f"Linked API's answer {what}", cause=Cause.BAD_RESPONSE, ambiguous=True)


def api_error(
    error: Any, *, status: int = 200, wait: Duration | None = None, secret: str = ""
) -> ApiError:
    """Turn the *error* of a response with `success: false` into ours, whatever its shape."""
    fields = error if isinstance(error, dict) else {"message": error}
    kind, message = fields.get("type"), fields.get("message")
    if not (isinstance(kind, str) and _TYPE.fullmatch(kind) and _is_public(kind, secret)):
        kind = None
    cause = _CAUSES.get(kind or "", _client_error_cause(status))
    text = f"Linked API refused the request: {kind or 'without a readable error type'}"
    if isinstance(message, str) and (detail := redact(message, limit=200, secret=secret)):
        text += f" ({detail})"
    return ApiError(text, cause=cause, type=kind, retry_after=wait)


def _is_public(word: str, secret: str) -> bool:
    return redact(word, limit=64, secret=secret) == word


def _client_error_cause(status: int) -> Cause:
    return Cause.RATE_LIMITED if status == 429 else Cause.BAD_RESPONSE


def _describe(status: int, headers: Mapping[str, str], body: bytes, content: object) -> str:
    if 300 <= status < 400:
        return ", a redirect; redirects are not followed"
    if not body.strip():
        return " with an empty body"
    if content is not MALFORMED:
        return " with JSON of another shape"
    if body.startswith(b"\x1f\x8b"):
        return " with something compressed that is not said to be"
    if "html" in headers.get("content-type", "").lower() or body.lstrip()[:1] == b"<":
        return " with an HTML page"
    return " with something that is not complete JSON"

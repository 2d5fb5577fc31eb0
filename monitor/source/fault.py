"""Why an exchange with Linked API came to nothing, in our own words.

Texts of httpx and aiohttp may hold addresses with credentials, so none of them is passed on.
"""

import errno
import os
from typing import Final

import aiohttp
import httpx

from monitor.core.errors import ApiError
from monitor.core.model import Cause

_RESET: Final = frozenset({errno.ECONNRESET, errno.EPIPE, errno.ECONNABORTED})


class ExchangeError(ApiError):
    """The exchange ended without a whole answer.

    *outcome* is the label of the metrics; *stale* says that the connection went before anything
    came back, as it does when the server has just closed a connection that was kept alive.
    """

    def __init__(
        self,
        reason: str,
        *,
        outcome: str = "network",
        cause: Cause = Cause.UNREACHABLE,
        ambiguous: bool = True,
        stale: bool = False,
    ) -> None:
        super().__init__(f"Linked API {reason}", cause=cause, ambiguous=ambiguous)
        self.outcome = outcome
        self.stale = stale


def explain(error: Exception, *, answered: bool) -> ExchangeError:  # noqa: PLR0911 - a table
    """Say what *error* means; *answered* says that the head of an answer had come."""
    cause: BaseException = error
    if isinstance(error, httpx.HTTPError) and error.__cause__:
        cause = error.__cause__  # aiohttp's own, which says more
    if reason := _unconnected(cause):
        outcome = "timeout" if isinstance(cause, aiohttp.ConnectionTimeoutError) else "network"
        return ExchangeError(
            f"could not be reached: {reason}", outcome=outcome, ambiguous=False, stale=False
        )
    match cause:
        case aiohttp.ClientPayloadError():
            return ExchangeError("broke off in the middle of its answer")
        case aiohttp.ServerDisconnectedError(message=str()) | aiohttp.ClientConnectionResetError():
            return _closed(stale=not answered)
        case aiohttp.ServerDisconnectedError():
            return _closed(stale=False)
        case OSError(errno=number) if number in _RESET:
            return _closed(stale=not answered)
        case aiohttp.ClientResponseError():
            return unreadable("with something that is not HTTP")
        case _:
            return ExchangeError(f"could not be reached: {type(cause).__name__}")


def unreadable(how: str) -> ExchangeError:
    """Say that an answer came whose body cannot be taken in."""
    return ExchangeError(f"answered {how}", outcome="http_error", cause=Cause.BAD_RESPONSE)


def _closed(*, stale: bool) -> ExchangeError:
    return ExchangeError("closed the connection instead of answering", stale=stale)


def _unconnected(error: BaseException) -> str | None:  # noqa: PLR0911 - a table
    """Return why there was no connection to send the request on; None if there was one."""
    match error:
        case aiohttp.ClientConnectorDNSError():
            return "its name could not be resolved"
        case aiohttp.ClientConnectorCertificateError(certificate_error=found):
            return f"bad certificate: {getattr(found, 'verify_message', '')[:100]}"
        case aiohttp.ClientSSLError():
            return "no TLS connection could be made"
        case aiohttp.ClientProxyConnectionError():
            return "the proxy does not accept connections"
        case aiohttp.ClientHttpProxyError(status=status):
            return f"the proxy answered HTTP {status}"
        case aiohttp.ConnectionTimeoutError():
            return "no connection in time"
        case aiohttp.ClientConnectorError(os_error=reason):
            return os.strerror(reason.errno) if reason.errno else "no connection"
        case _:
            return None

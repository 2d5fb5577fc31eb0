"""Why there was no connection, and what to do: words without addresses and secrets.

They go on after "could not be reached: " or the like. "It" is the server.
"""

import errno
import os
import re
import socket
import ssl
from collections.abc import Iterator, Mapping
from typing import Final

import aiohttp
import httpx

from monitor.core.errors import SetupError

from .proxy import WANTS_LOGIN

IN_TIME: Final = "no connection in time; it may be down, or a firewall drops what is sent to it"
PLAIN: Final = "this port does not begin with TLS; is it the right one, or one of http://?"

_REFUSED: Final = "the connection was refused; nothing may listen on this port"
_NO_ROUTE: Final = "there is no route to it; check the network of this host, IPv6 too"
_FORBIDDEN: Final = "this host forbids the connection; check its firewall and sandbox"
_NO_DESCRIPTORS: Final = "no file descriptors are left; raise the limit of open files"
_CLOSED: Final = "the connection was closed at once; check the port"

_BY_ERRNO: Final[Mapping[int, str]] = {
    errno.ECONNREFUSED: _REFUSED,
    **dict.fromkeys(
        (
            *(errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN),
            *(errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT),
        ),
        _NO_ROUTE,
    ),
    **dict.fromkeys((errno.EACCES, errno.EPERM), _FORBIDDEN),
    **dict.fromkeys((errno.EMFILE, errno.ENFILE), _NO_DESCRIPTORS),
    **dict.fromkeys((errno.ECONNRESET, errno.EPIPE, errno.ECONNABORTED), _CLOSED),
    errno.ETIMEDOUT: IN_TIME,
}

_CERTIFICATE: Final[Mapping[int, str]] = {  # codes of OpenSSL: X509_V_ERR_…
    9: "its certificate is not valid yet; check the clock of this host",
    10: "its certificate has expired; it has to be renewed (or the clock of this host is wrong)",
    **dict.fromkeys(
        (2, 18, 19, 20, 21),
        "its certificate is signed by an authority that is unknown here; "
        "name that in a file with ca_file, where there is one, or SSL_CERT_FILE",
    ),
    **dict.fromkeys((62, 64), "its certificate is for another name; check the address"),
}

_NOT_TLS: Final = frozenset(
    {
        *("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "HTTPS_PROXY_REQUEST", "UNKNOWN_PROTOCOL"),
        *("PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE", "INVALID_RECORD"),
    }
)
_REASON: Final = re.compile(r"[A-Z0-9_]{1,60}")


def connect_failure(error: BaseException) -> str | None:
    """Say why a client of `http` had no connection to send on; None if it had one."""
    for cause in _chain(error):
        match cause:
            case SetupError():
                return str(cause)
            case aiohttp.ClientHttpProxyError(status=status):
                return refused_by_proxy(status)
            case aiohttp.ClientConnectorError() | aiohttp.ConnectionTimeoutError():
                words = explain(cause)
                is_proxy = isinstance(error, httpx.ProxyError)
                return f"the proxy could not be reached: {words}" if is_proxy else words
            case _:
                pass
    return None


def explain(error: BaseException, *, plain: str = PLAIN) -> str:
    """Say what *error* means, which was raised while something connected.

    *plain* is what to say if the port does not begin with TLS.
    """
    words = (_words(cause, plain) for cause in _chain(error))
    return next(filter(None, words), f"no connection ({type(error).__name__})")


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield *error* and what it comes from."""
    cause: BaseException | None = error
    for _ in range(10):
        if cause is None:
            return
        yield cause
        cause = cause.__cause__ or cause.__context__


def _words(error: BaseException, plain: str) -> str | None:  # noqa: C901, PLR0911 - a table
    match error:
        case aiohttp.ConnectionTimeoutError():
            return IN_TIME
        case aiohttp.ClientError() | httpx.HTTPError():
            return None  # what is behind it says more
        case ssl.SSLCertVerificationError():
            text = f"its certificate is not valid: {error.verify_message[:100]}"
            return _CERTIFICATE.get(error.verify_code, text)
        case ssl.SSLError():
            return _tls_failure(error.reason or "", plain)
        case socket.gaierror(errno=socket.EAI_AGAIN):
            return "its name could not be looked up; check the DNS servers of this host"
        case socket.gaierror():
            return "its name could not be resolved; check how the address is written"
        case OSError(errno=int() as number):
            return _BY_ERRNO.get(number, os.strerror(number))
        case TimeoutError():
            return IN_TIME
        case ConnectionError():
            return _CLOSED
        case OSError():
            return "none of its addresses accepts a connection; check network and port"
        case _:
            return None


def _tls_failure(reason: str, plain: str) -> str:
    """Say what *reason* means, a constant of OpenSSL."""
    name = reason.upper().replace(" ", "_")
    if name in _NOT_TLS:
        return plain
    if name.endswith(("PROTOCOL_VERSION", "UNSUPPORTED_PROTOCOL")):
        return "it offers old versions of TLS only; 1.2 or later is needed"
    if name.endswith(("CERTIFICATE_REQUIRED", "BAD_CERTIFICATE")):
        return "it asks for a certificate of ours, which is not supported"
    detail = f" ({name.replace('_', ' ').lower()})" if _REASON.fullmatch(name) else ""
    return f"no TLS connection could be made{detail}"


def refused_by_proxy(status: int) -> str:
    """Say what it means that a proxy answered in the place of the server."""
    text = f"the proxy answered HTTP {status}"
    if status == 407:
        return f"{text}; it {WANTS_LOGIN}"
    if status in (502, 503, 504):
        return f"{text}; it could not reach the server"
    return f"{text}; it has to allow connections to this server"

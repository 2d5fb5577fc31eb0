"""Web addresses, wherever one is configured or comes from others; which profile one leads to."""

import re
from ipaddress import ip_address
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

MAX_PROFILE: Final = 500

_PROFILE: Final = re.compile(
    r"https://(?:www\.)?linkedin\.com/in/(?:[\w~-]|%[89A-Fa-f][0-9A-Fa-f])+/?"
)
"""A person's page and nothing else; of what is escaped only letters beyond ASCII."""


def split_web_url(url: str) -> SplitResult | None:
    """Return the parts of *url*; None unless it is http or https, with a host and a usable port."""
    try:
        parts = urlsplit(url)
        is_usable = parts.scheme in ("https", "http") and parts.hostname and parts.port != 0
    except ValueError:
        return None
    return parts if is_usable else None


def is_profile(url: str) -> bool:
    """Return whether *url* is the address of a person's page on LinkedIn, and leads nowhere else.

    Linked API writes it with `www.`; LinkedIn's hosts by country redirect, and are none.
    """
    return len(url) <= MAX_PROFILE and _PROFILE.fullmatch(url) is not None


def is_loopback(host: str) -> bool:
    """Return whether *host*, a name or an address, leads nowhere but to this machine."""
    host = host.lower().rstrip(".")
    try:
        address = ip_address(host)
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


def travels_in_clear(url: str) -> bool:
    """Return whether what is sent to *url* can be read on its way to another machine."""
    parts = split_web_url(url)
    return parts is not None and parts.scheme == "http" and not is_loopback(parts.hostname or "")


def profile_key(url: str) -> str:
    """Return what tells one person's profile address from another's, or "" for no address.

    Scheme, `www.`, case, percent-encoding, query and a trailing slash do not matter.
    """
    try:
        parts = urlsplit(url.strip())
    except ValueError:
        return ""
    host = parts.netloc.lower().removeprefix("www.")
    path = unquote(parts.path).lower().rstrip("/")
    return f"{host}{path}" if host and path else ""

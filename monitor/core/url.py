"""Web addresses, wherever one is configured or comes from others; which profile one leads to."""

from urllib.parse import SplitResult, unquote, urlsplit


def split_web_url(url: str) -> SplitResult | None:
    """Return the parts of *url*; None unless it is http or https, with a host and a usable port."""
    try:
        parts = urlsplit(url)
        is_usable = parts.scheme in ("https", "http") and parts.hostname and parts.port != 0
    except ValueError:
        return None
    return parts if is_usable else None


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

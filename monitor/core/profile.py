"""Which LinkedIn profile an address leads to."""

from urllib.parse import unquote, urlsplit


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

"""Web addresses, wherever one is configured or comes from others."""

from urllib.parse import SplitResult, urlsplit


def split_web_url(url: str) -> SplitResult | None:
    """Return the parts of *url*; None unless it is http or https, with a host and a usable port."""
    try:
        parts = urlsplit(url)
        is_usable = parts.scheme in ("https", "http") and parts.hostname and parts.port != 0
    except ValueError:
        return None
    return parts if is_usable else None

"""Foreign text made fit to show: bounded, on one line, without control characters and secrets."""

import re
from typing import Final

MASK: Final = "[hidden]"
_ADDRESS: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,20}://\S*")
_CREDENTIAL: Final = re.compile(r"\b(?:linked|account|id|whsec)_[A-Za-z0-9_-]{8,}")


def plain(text: str, *, limit: int, hide: str = "") -> str:
    """Return *text* in at most *limit* characters.

    Addresses (a reconnection link is one), whatever looks like a token, and the text *hide* are
    masked before it is cut, so that no half of a secret remains.
    """
    if hide:
        text = text.replace(hide, MASK)
    text = text[: limit * 20]
    text = _CREDENTIAL.sub(MASK, _ADDRESS.sub(MASK, text))
    text = "".join(sign if sign.isprintable() else " " for sign in text)
    text = " ".join(text.split())
    return text if len(text) <= limit else text[: limit - 1] + "…"

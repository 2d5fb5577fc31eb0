"""Whose list it is: by hashes of what is known of a workspace, never by the things themselves."""

import hashlib
from collections.abc import Iterable
from typing import Final

from .model import Fingerprint
from .secret import Secret


def make_fingerprint(
    salt: str, token: Secret | None, ignored: Iterable[str], rules: str = ""
) -> Fingerprint:
    """Return by what the lists of a workspace will be known: its *token* and *ignored* ids.

    *rules* stands for those by which these are ignored.
    """
    ids = sorted(ignored)
    text = token.reveal() if token else ""
    return Fingerprint(salt, _hash(salt, text), tuple(_hash(salt, id_) for id_ in ids), rules)


def ignored_before(fingerprint: Fingerprint | None, ids: Iterable[str]) -> frozenset[str]:
    """Return which of the listed *ids* were listed, and ignored, before."""
    if fingerprint is None or not fingerprint.ignored:
        return frozenset()
    hashes = frozenset(fingerprint.ignored)
    return frozenset(id_ for id_ in ids if _hash(fingerprint.salt, id_) in hashes)


PSEUDONYM: Final = "erased-"
"""What the name begins with of who is not to be known any more."""


def pseudonym(salt: str, text: str) -> str:
    """Return what stands for *text* once it is erased: nobody without *salt* can make it again."""
    return f"{PSEUDONYM}{_hash(salt, text)}"


def list_key(ids: Iterable[str]) -> str:
    """Return what stands for a list of *ids*, whatever their order."""
    return _hash("", "\n".join(sorted(ids)))


def _hash(salt: str, text: str) -> str:
    return hashlib.sha256(f"{salt} {text}".encode()).hexdigest()[:32]

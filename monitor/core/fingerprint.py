"""Whose list it is: by hashes of what is known of a workspace, never by the things themselves."""

import hashlib
from collections.abc import Iterable
from typing import Final

from .model import Fingerprint
from .secret import Secret

MAX_IGNORED: Final = 100
"""The hashes of more ignored accounts are not kept: one that is listed again is enough."""


def make_fingerprint(salt: str, token: Secret | None, ignored: Iterable[str]) -> Fingerprint:
    """Return by what the lists of a workspace will be known: its *token* and *ignored* ids."""
    ids = sorted(ignored)[:MAX_IGNORED]
    text = token.reveal() if token else ""
    return Fingerprint(salt, _hash(salt, text), tuple(_hash(salt, id_) for id_ in ids))


def lists_ignored(fingerprint: Fingerprint | None, ids: Iterable[str]) -> bool:
    """Return whether one of the listed *ids* was listed, and ignored, before."""
    if fingerprint is None or not fingerprint.ignored:
        return False
    return not {_hash(fingerprint.salt, id_) for id_ in ids}.isdisjoint(fingerprint.ignored)


def list_key(ids: Iterable[str]) -> str:
    """Return what stands for a list of *ids*, whatever their order."""
    return _hash("", "\n".join(sorted(ids)))


def _hash(salt: str, text: str) -> str:
    return hashlib.sha256(f"{salt} {text}".encode()).hexdigest()[:32]

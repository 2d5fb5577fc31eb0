"""Secrets of receivers: written in the configuration, or in a file of their own."""

from pathlib import Path

from monitor.core.errors import MonitorError
from monitor.core.secret import Secret

from . import ReceiverSettings


def require_one(settings: ReceiverSettings, field: str) -> None:
    """Raise ValueError unless exactly one of *field* and its `_file` form is given."""
    given = [getattr(settings, name) is not None for name in (field, f"{field}_file")]
    if not any(given):
        raise ValueError(f"needs {field} or {field}_file")
    if all(given):
        raise ValueError(f"has both {field} and {field}_file; keep one")


def read(settings: ReceiverSettings, field: str) -> Secret:
    """Return the secret *field*, from its file if it has one; raise MonitorError if it can't."""
    secret: Secret | None = getattr(settings, field)
    path: Path | None = getattr(settings, f"{field}_file")
    if secret is None and path is not None:
        where = f"receiver {settings.name}: {field}_file {path}"
        try:
            secret = Secret(path.read_text(encoding="utf-8-sig"))
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not text"
            raise MonitorError(f"{where} cannot be read: {reason}") from None
        if not secret:
            raise MonitorError(f"{where} is empty")
    if not secret:
        raise MonitorError(f"receiver {settings.name}: {field} is empty")
    return secret

"""The settings of the Linked API client: the sections `workspaces` (in part) and `linked_api`."""

from pathlib import Path
from typing import Annotated, Final
from urllib.parse import SplitResult

from pydantic import BaseModel, Field, field_validator

from monitor.core.bounds import span
from monitor.core.duration import Duration
from monitor.core.secret import Secret
from monitor.core.url import split_web_url
from monitor.net.proxy import parse_proxy

MAX_ACCOUNTS: Final = 10_000
"""How many accounts a workspace may have if nothing else is said."""


class LinkedApiSettings(BaseModel, frozen=True, extra="forbid", hide_input_in_errors=True):
    """The section `linked_api`.

    A list of more than *max_accounts* is not read. A *proxy* may carry credentials, so it is a
    secret; without one the usual proxy variables count. *ca_file* is trusted in addition to the
    usual authorities.
    """

    base_url: str = "https://api.linkedapi.io"
    timeout: Annotated[
        Duration, span("100ms", "5m", "a call that hangs holds up its workspace for so long")
    ] = Duration.parse("30s")
    requests_per_minute: int = Field(default=60, ge=1, le=100)
    max_accounts: int = Field(default=MAX_ACCOUNTS, ge=1, le=1_000_000)
    proxy: Secret | None = None
    ca_file: Path | None = None

    @field_validator("base_url")
    @classmethod
    def _is_address(cls, value: str) -> str:
        if not value.startswith(("https://", "http://")):
            raise ValueError("must start with https:// (or http:// for a local simulator)")
        parts = _split(value)
        if parts is None:
            raise ValueError("must be an address such as https://api.linkedapi.io")
        if "@" in parts.netloc or "?" in value or "#" in value:
            raise ValueError("must not hold credentials, a query or a fragment")
        return value.rstrip("/")

    @field_validator("proxy")
    @classmethod
    def _is_proxy(cls, value: Secret | None) -> Secret | None:
        if value is not None:
            if "://" not in value.reveal():
                raise ValueError("must start with http:// or https://")
            parse_proxy(value)
        return value


def _split(url: str) -> SplitResult | None:
    """Take *url* apart, or return None if it is none, or has spaces or odd characters."""
    return split_web_url(url) if url.isprintable() and " " not in url else None

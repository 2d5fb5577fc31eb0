"""The settings of the Linked API client: the sections `workspaces` (in part) and `linked_api`."""

from pathlib import Path
from typing import Annotated, Final
from urllib.parse import SplitResult, urlsplit

from pydantic import BaseModel, Field, field_validator

from monitor.core.bounds import span
from monitor.core.doc import Doc
from monitor.core.duration import Duration
from monitor.core.secret import Secret
from monitor.core.url import split_web_url
from monitor.net.proxy import parse_proxy

MAX_ACCOUNTS: Final = 10_000
"""How many accounts a workspace may have if nothing else is said."""


class LinkedApiSettings(BaseModel, frozen=True, extra="forbid", hide_input_in_errors=True):
    """The section `linked_api`.

    A list of more than *max_accounts* is not read. *billing_url* is where alerts of frozen accounts
    lead. A *proxy* may carry credentials, so it is a secret; without one the usual proxy variables
    count. *ca_file* is trusted in addition to the usual authorities.
    """

    base_url: Annotated[
        str,
        Doc(
            "plain `http://` is allowed for loopback addresses only",
            example="http://127.0.0.1:8080",
        ),
    ] = "https://api.linkedapi.io"
    timeout: Annotated[
        Duration,
        span("100ms", "5m", "a call that hangs holds up its workspace for so long"),
        Doc("of one call", example="10s"),
    ] = Duration.parse("30s")
    requests_per_minute: Annotated[
        int,
        Doc(
            "the most this monitor asks of one token; Linked API allows 100",
            example=30,
        ),
    ] = Field(default=60, ge=1, le=100)
    max_accounts: Annotated[
        int,
        Doc(
            "a longer list of accounts is not read: the workspace counts as unreadable"
            " (`bad_response`). An answer may have 10 MiB, or 1 KiB an account if that is more",
            example=2000,
        ),
    ] = Field(default=MAX_ACCOUNTS, ge=1, le=1_000_000)
    billing_url: Annotated[
        str,
        Doc(
            "where alerts of frozen accounts, and of the subscription, lead",
            example="https://app.linkedapi.io",
        ),
    ] = "https://app.linkedapi.io"
    proxy: Annotated[
        Secret | None,
        Doc(
            "such as `http://proxy.example.com:3128`; else the usual proxy variables count",
            example="http://proxy.example.com:3128",
        ),
    ] = None
    ca_file: Annotated[
        Path | None,
        Doc(
            "a certificate to trust in addition to the usual ones",
            example="/etc/ssl/our-authority.pem",
        ),
    ] = None

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

    @field_validator("billing_url")
    @classmethod
    def _is_page(cls, value: str) -> str:
        if not value.startswith("https://") or _split(value) is None:
            raise ValueError("must be an address that starts with https://")
        if "@" in urlsplit(value).netloc:
            raise ValueError("must not hold credentials")
        return value

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

"""The settings of the HTTP endpoint: the section `web`."""

import re
from contextlib import suppress
from ipaddress import ip_address
from typing import Annotated, Final

from pydantic import BaseModel, field_validator

from monitor.core.doc import Doc
from monitor.core.secret import Secret
from monitor.core.url import is_loopback

_HOST: Final = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*\.?")
MIN_TOKEN: Final = 16
"""Characters of a bearer token: a shorter one can be guessed."""

_LISTEN: Final = re.compile(r"(?P<host>\[[0-9a-fA-F:.]+\]|[A-Za-z0-9_.-]+):(?P<port>\d{1,5})")


class WebSettings(BaseModel, frozen=True, extra="forbid"):
    """The section `web`: where /metrics and the health checks are served.

    *hosts* are names of this machine, besides localhost, that requests may use where only it can
    ask.
    """

    listen: Annotated[
        str,
        Doc(
            "where the metrics and the health checks are served. `[::]:9464` is all addresses of"
            " both families (IPv4 alone where the kernel has no IPv6). Beyond loopback without"
            " `web.metrics_token` is warned of at the start and by `config check`",
            example="[::]:9464",
        ),
    ] = "127.0.0.1:9464"
    metrics_token: Annotated[
        Secret | None,
        Doc(
            "16 characters or more: `/metrics` asks for `Authorization: Bearer …` then, and who"
            " lacks it takes the place of no scrape",
            example="${METRICS_TOKEN}",
        ),
    ] = None
    hosts: Annotated[
        tuple[str, ...],
        Doc(
            "names, besides `localhost`, its addresses and the host of `web.listen`, by which"
            " requests may ask a `web.listen` that only this machine reaches; others get 421, lest"
            " a web page in somebody's browser reads the metrics (DNS rebinding). For a proxy"
            " beside the monitor that passes on the name that it was asked by",
            example=["monitor.example.com"],
        ),
    ] = ()

    @field_validator("metrics_token")
    @classmethod
    def _is_long_enough(cls, value: Secret | None) -> Secret | None:
        if value is not None and len(value.reveal()) < MIN_TOKEN:
            raise ValueError(
                f"must have {MIN_TOKEN} or more characters, such as `openssl rand -hex 32` writes"
            )
        return value

    @field_validator("listen")
    @classmethod
    def _is_address(cls, value: str) -> str:
        match = _LISTEN.fullmatch(value)
        if match and int(match["port"]) <= 65535:
            with suppress(ValueError):
                if match["host"].startswith("["):
                    ip_address(match["host"].strip("[]"))
                return value
        raise ValueError("must be HOST:PORT, such as 127.0.0.1:9464 or [::]:9464")

    @field_validator("hosts")
    @classmethod
    def _are_names(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not all(map(_HOST.fullmatch, value)):
            raise ValueError("must be names of hosts, without a port, such as monitor.example.com")
        return value

    @property
    def host(self) -> str:
        """The host part, an IPv6 address without its brackets."""
        return self.listen.rpartition(":")[0].strip("[]")

    @property
    def names(self) -> tuple[str, ...]:
        """The names of this machine that are known of besides localhost."""
        return (*self.hosts, self.host)

    @property
    def is_any_ipv6(self) -> bool:
        """Whether it is `[::]`, however that is written."""
        return ":" in self.host and ip_address(self.host).is_unspecified

    @property
    def is_private(self) -> bool:
        """Whether only this machine, or who has the token, gets to see the metrics."""
        return self.metrics_token is not None or is_loopback(self.host)

    @property
    def port(self) -> int:
        """The port; 0 takes any free one."""
        return int(self.listen.rpartition(":")[2])

"""The settings of the HTTP endpoint: the section `web`."""

import re
from typing import Final

from pydantic import BaseModel, field_validator

from monitor.core.secret import Secret

_HOST: Final = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*\.?")
_LISTEN: Final = re.compile(r"(?P<host>\[[0-9a-fA-F:.]+\]|[A-Za-z0-9_.-]+):(?P<port>\d{1,5})")


class WebSettings(BaseModel, frozen=True, extra="forbid"):
    """The section `web`: where /metrics and the health checks are served.

    *hosts* are names of this machine, besides localhost, that requests may use where only it can
    ask.
    """

    listen: str = "127.0.0.1:9464"
    metrics_token: Secret | None = None
    hosts: tuple[str, ...] = ()

    @field_validator("listen")
    @classmethod
    def _is_address(cls, value: str) -> str:
        match = _LISTEN.fullmatch(value)
        if match is None or int(match["port"]) > 65535:
            raise ValueError("must be HOST:PORT, such as 127.0.0.1:9464")
        return value

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
    def port(self) -> int:
        """The port; 0 takes any free one."""
        return int(self.listen.rpartition(":")[2])

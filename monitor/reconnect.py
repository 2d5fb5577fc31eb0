"""Creates a reconnection session where an account needs a login and has no link."""

from typing import Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, field_validator

from monitor.core.duration import Duration


class ReconnectionSettings(BaseModel):
    """The section `reconnection`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    create: Literal["never", "if_missing"] = "if_missing"
    cooldown: Duration = Duration.parse("1h")
    link_origins: tuple[str, ...] = ("https://app.linkedapi.io",)

    @field_validator("link_origins")
    @classmethod
    def _are_origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for origin in value:
            parts = urlsplit(origin)
            if (
                parts.scheme not in ("https", "http")
                or origin != f"{parts.scheme}://{parts.netloc}"
            ):
                raise ValueError(f"{origin!r} is not an origin such as https://app.linkedapi.io")
        return value

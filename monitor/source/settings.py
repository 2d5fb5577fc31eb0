"""The settings of the Linked API client: the sections `workspaces` (in part) and `linked_api`."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, field_validator

from monitor.core.duration import Duration


class LinkedApiSettings(BaseModel):
    """The section `linked_api`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    base_url: str = "https://api.linkedapi.io"
    timeout: Duration = Duration.parse("30s")
    requests_per_minute: int = Field(default=60, ge=1, le=100)
    proxy: str | None = None
    ca_file: Path | None = None

    @field_validator("base_url")
    @classmethod
    def _is_address(cls, value: str) -> str:
        if not value.startswith(("https://", "http://")):
            raise ValueError("must start with https:// (or http:// for a local simulator)")
        return value.rstrip("/")

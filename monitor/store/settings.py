"""The settings of the store: the section `storage`."""

from typing import Annotated

from platformdirs import user_data_path
from pydantic import BaseModel, Field, field_serializer, field_validator

from monitor.core.bounds import span
from monitor.core.duration import Duration
from monitor.core.secret import Secret

from . import address


def _default_url() -> Secret:
    return Secret(f"sqlite:///{user_data_path('linkedapi-monitor') / 'monitor.db'}")


class StorageSettings(BaseModel, frozen=True, extra="forbid"):
    """The section `storage`: where the state lives, and for how long ended incidents are kept.

    *url* may hold a password.
    """

    url: Secret = Field(default_factory=_default_url)
    keep: Annotated[Duration, span("7d", "3650d", "what recurs is known for a week")] = (
        Duration.parse("180d")
    )

    @field_validator("url")
    @classmethod
    def _is_known(cls, value: Secret) -> Secret:
        address.parse(value.reveal())
        return value

    @field_serializer("url")
    def _show(self, value: Secret) -> str:
        """Show the path of a file; the address of a server is masked."""
        return value.reveal() if value.reveal().startswith("sqlite:") else str(value)

"""The settings of the store: the section `storage`."""

from contextlib import suppress
from pathlib import Path
from typing import Annotated, Final

from platformdirs import user_data_path
from pydantic import BaseModel, Field, field_serializer, field_validator

from monitor.core.bounds import span
from monitor.core.doc import Doc
from monitor.core.duration import Duration
from monitor.core.errors import SetupError
from monitor.core.secret import Secret

from . import address

_SQLITE: Final = "sqlite:///"


def _default_url() -> Secret:
    folder = Path("linkedapi-monitor")
    with suppress(RuntimeError):  # a number without a name has no home, as in containers
        folder = user_data_path("linkedapi-monitor")
    return Secret(f"{_SQLITE}{folder / 'monitor.db'}")


class StorageSettings(BaseModel, frozen=True, extra="forbid"):
    """The section `storage`: where the state lives, and for how long ended incidents are kept.

    *url* may hold a password.
    """

    url: Annotated[
        Secret,
        Doc(
            "`sqlite:////data/monitor.db` (four slashes and an absolute path), or `postgresql://…`",
            example="sqlite:////data/monitor.db",
            default="`monitor.db` in your data folder",
        ),
    ] = Field(default_factory=_default_url)
    keep: Annotated[
        Duration,
        span("7d", "3650d", "what recurs is known for a week"),
        Doc(
            "how long ended incidents and removed accounts stay recorded; at least `7d`",
            example="90d",
        ),
    ] = Duration.parse("180d")

    @field_validator("url")
    @classmethod
    def _is_known(cls, value: Secret) -> Secret:
        address.parse(value.reveal())
        return value

    @property
    def location(self) -> str:
        """The url; raise SetupError if none is given, and this user has no folder for it."""
        url = self.url.reveal()
        if "url" not in self.model_fields_set and not Path(url.removeprefix(_SQLITE)).is_absolute():
            raise SetupError(
                "storage.url is missing, and HOME does not say where this user's data is; set one"
            )
        return url

    @field_serializer("url", when_used="json")
    def _show(self, value: Secret) -> str:
        """Show the path of a file; the address of a server is masked."""
        return value.reveal() if value.reveal().startswith("sqlite:") else str(value)

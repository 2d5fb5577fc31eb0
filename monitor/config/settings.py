"""The whole configuration as one frozen value; each part's own settings stand beside the part."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import unquote

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    SerializeAsAny,
    model_validator,
)

from monitor.core.model import Cause, Scope
from monitor.core.policy import Delivery, Policy, Reconnection
from monitor.core.secret import Secret
from monitor.notifiers import ReceiverSettings
from monitor.schedule import PollSettings
from monitor.source.settings import LinkedApiSettings
from monitor.store.settings import StorageSettings
from monitor.web.settings import WebSettings

NAME: Final = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"
_PASSWORD: Final = re.compile(r"[^/?#]*//[^/?#@:]*:([^/?#@]+)@")
_FROZEN: Final = ConfigDict(frozen=True, extra="forbid")


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class WorkspaceSettings(BaseModel):
    """One Linked API token and what is said of the accounts behind it.

    Exactly one of *token* and *token_file* is there; the file is read again whenever the token is
    needed anew. *poll* is complete: the section `poll` with this workspace's own settings over it.
    """

    model_config = _FROZEN

    name: str = Field(default="default", pattern=NAME)
    token: Secret | None = None
    token_file: Path | None = None
    labels: dict[str, str] = Field(default_factory=dict)
    poll: PollSettings = PollSettings()

    @model_validator(mode="after")
    def _has_one_token(self) -> Self:
        if self.token is None and self.token_file is None:
            raise ValueError("needs a token or a token_file")
        if self.token is not None and self.token_file is not None:
            raise ValueError("has both a token and a token_file; keep one")
        return self


class MatchSettings(BaseModel):
    """What a route listens to: one text or several; *workspace* and *account* may be globs."""

    model_config = _FROZEN

    cause: Annotated[tuple[Cause, ...], BeforeValidator(_listed)] = ()
    workspace: Annotated[tuple[str, ...], BeforeValidator(_listed)] = ()
    account: Annotated[tuple[str, ...], BeforeValidator(_listed)] = ()
    scope: Annotated[tuple[Scope, ...], BeforeValidator(_listed)] = ()
    labels: dict[str, str] = Field(default_factory=dict)


class RouteSettings(BaseModel):
    """The receivers *to* hear what matches; the next routes are asked only if it *continue*s."""

    model_config = _FROZEN

    match: MatchSettings = MatchSettings()
    to: Annotated[tuple[str, ...], BeforeValidator(_listed), Field(min_length=1)]
    continue_: bool = Field(default=False, alias="continue")


class MetricsSettings(BaseModel):
    """The section `metrics`: which accounts have series of their own, and whether with names."""

    model_config = _FROZEN

    per_account: Literal["all", "unhealthy", "none"] = "all"
    account_names: bool = True


class LogSettings(BaseModel):
    """The section `log`; without a *format* it is `console` on a terminal and `json` elsewhere."""

    model_config = _FROZEN

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["json", "console"] | None = None


class Config(BaseModel):
    """Everything that people decide, as it was when it was loaded."""

    model_config = _FROZEN

    workspaces: tuple[WorkspaceSettings, ...]
    linked_api: LinkedApiSettings = LinkedApiSettings()
    poll: PollSettings = PollSettings()
    incidents: Policy = Policy()
    reconnection: Reconnection = Reconnection()
    receivers: tuple[SerializeAsAny[ReceiverSettings], ...] = ()
    routes: tuple[RouteSettings, ...] = ()
    fallback: str | None = None
    delivery: Delivery = Delivery()
    storage: StorageSettings = Field(default_factory=StorageSettings)
    web: WebSettings = WebSettings()
    metrics: MetricsSettings = MetricsSettings()
    log: LogSettings = LogSettings()
    timezone: str = "UTC"

    _warnings: tuple[str, ...] = PrivateAttr(default=())

    def model_post_init(self, context: Any) -> None:
        """Keep the warnings, which are the context of the validation."""
        self._warnings = tuple(context or ())

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is odd but usable, one sentence each."""
        return self._warnings

    def secrets(self) -> Iterator[Secret]:
        """Yield every secret that the configuration holds, for the redaction of the log.

        Tokens that stand in a `token_file` are not among them: whoever reads the file has them.
        """
        found = tuple(_secrets_in(self))
        yield from found
        for text in (str(self.storage.url), *(secret.reveal() for secret in found)):
            if password := _PASSWORD.match(text):
                yield Secret(password[1])
                yield Secret(unquote(password[1]))


def _secrets_in(value: Any) -> Iterator[Secret]:
    match value:
        case Secret():
            yield value
        case BaseModel():
            yield from _secrets_in(vars(value))
        case Mapping():
            for part in value.values():
                yield from _secrets_in(part)
        case tuple() | list() | set() | frozenset():
            for part in value:
                yield from _secrets_in(part)
        case _:
            return

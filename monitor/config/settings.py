"""The whole configuration as one frozen value; each part's own settings stand beside the part.

Below it: the keys of the settings and their JSON Schema.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import unquote, urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    SerializeAsAny,
    SerializerFunctionWrapHandler,
    TypeAdapter,
    model_serializer,
    model_validator,
)
from pydantic.json_schema import GenerateJsonSchema, models_json_schema

from monitor import notifiers
from monitor.core.bounds import span
from monitor.core.duration import Duration
from monitor.core.inventory import AccountRule
from monitor.core.model import Micros
from monitor.core.policy import DeliveryPolicy, IncidentPolicy, Labels, ReconnectionPolicy
from monitor.core.route import Route
from monitor.core.secret import Secret
from monitor.cron import check_cron, next_time
from monitor.notifiers import Name, ReceiverSettings, TimezoneName
from monitor.source.settings import LinkedApiSettings
from monitor.store.settings import StorageSettings
from monitor.web.settings import WebSettings

from .document import Location

_PASSWORD: Final = re.compile(r"[^/?#]*//[^/?#@:]*:([^/?#@]+)@")


class PollSettings(BaseModel, frozen=True, extra="forbid"):
    """The section `poll`, for all workspaces or for one.

    A workspace is polled *every* so often, or when the crontab expression *cron* says so, in
    *timezone* (None: that of the configuration). Each poll is put off by some *jitter*.
    """

    every: Annotated[Duration, span("1s", "7d", "for so long nobody hears of an account")] = (
        Duration.parse("60s")
    )
    cron: Annotated[str, AfterValidator(check_cron)] | None = None
    timezone: TimezoneName | None = None
    jitter: Annotated[Duration, span("0s", "1h")] = Duration.parse("5s")

    @model_validator(mode="after")
    def _has_one_rhythm(self) -> Self:
        if self.cron is not None and "every" in self.model_fields_set:
            raise ValueError("has both every and cron; keep one")
        return self

    @model_serializer(mode="wrap")
    def _show(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Show the rhythm that counts: what is shown could be loaded again."""
        shown: dict[str, Any] = handler(self)
        if self.cron is not None:
            shown.pop("every", None)
        return shown

    @property
    def rhythm(self) -> Duration | Callable[[Micros], Micros]:
        """The interval, or `next_due` if polls are due by a crontab expression."""
        return self.every if self.cron is None else self.next_due

    def next_due(self, at: Micros) -> Micros:
        """Return when the first scheduled poll after the time *at* is due, jitter left out."""
        if self.cron is None:
            return at + self.every
        return next_time(self.cron, at, self.timezone or "UTC")


class WorkspaceSettings(BaseModel, frozen=True, extra="forbid"):
    """One Linked API token and the settings of the accounts behind it.

    Exactly one of *token* and *token_file* is set; the file is read again before each call. *poll*
    is complete: the section `poll` with this workspace's own settings over it.
    What was recorded of the workspace *renamed_from* belongs to this one.
    """

    name: Name = "default"
    renamed_from: Name | None = None
    token: Secret | None = None
    token_file: Path | None = None
    labels: Labels = Field(default_factory=dict)
    poll: PollSettings = PollSettings()

    @model_validator(mode="after")
    def _has_one_token(self) -> Self:
        if self.token is None and self.token_file is None:
            raise ValueError("needs a token or a token_file")
        if self.token is not None and self.token_file is not None:
            raise ValueError("has both a token and a token_file; keep one")
        return self


def _to_bool(value: Any) -> Any:
    """Read the word that a variable holds."""
    return {"true": True, "false": False}.get(value, value) if isinstance(value, str) else value


class MetricsSettings(BaseModel, frozen=True, extra="forbid"):
    """The section `metrics`: which accounts have series of their own, and whether with names.

    By itself (`auto`) it shows names only to this machine, or to who has the token.
    """

    per_account: Literal["all", "unhealthy", "none"] = "all"
    account_names: Annotated[Literal[True, False, "auto"], BeforeValidator(_to_bool)] = "auto"


class LogSettings(BaseModel, frozen=True, extra="forbid"):
    """The section `log`; without a *format* it is `console` on a terminal and `json` elsewhere."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["json", "console"] | None = None


@dataclass(frozen=True, slots=True)
class Findings:
    """What was found while the configuration was loaded: *warnings* of what is odd but usable.

    *overridden* has the variable that counts instead of each key that the file has; *notes* say
    what a person who checks it should know. *path* is the file, None if there is none, *sections*
    are those that it has, *size* is how many characters, and it *is_whole* if it ends with a line.
    """

    warnings: tuple[str, ...] = ()
    overridden: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    path: Path | None = None
    sections: frozenset[str] = frozenset()
    size: int = 0
    is_whole: bool = True


class Config(BaseModel):
    """Everything that people decide, as it was when it was loaded."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    workspaces: tuple[WorkspaceSettings, ...]
    accounts: tuple[AccountRule, ...] = ()
    linked_api: LinkedApiSettings = LinkedApiSettings()
    poll: PollSettings = PollSettings()
    incidents: IncidentPolicy = IncidentPolicy()
    reconnection: ReconnectionPolicy = ReconnectionPolicy()
    receivers: tuple[SerializeAsAny[ReceiverSettings], ...] = ()
    routes: tuple[Route, ...] = ()
    fallback: str | None = None
    delivery: DeliveryPolicy = DeliveryPolicy()
    storage: StorageSettings = Field(default_factory=StorageSettings)
    web: WebSettings = WebSettings()
    metrics: MetricsSettings = MetricsSettings()
    log: LogSettings = LogSettings()
    timezone: TimezoneName = "UTC"

    _findings: Findings = PrivateAttr(default=Findings())

    def with_findings(self, findings: Findings) -> Self:
        """Return the same with what was found while it was loaded."""
        copy = self.model_copy()
        copy._findings = findings  # noqa: SLF001 - our own
        return copy

    @property
    def findings(self) -> Findings:
        """What was found while it was loaded."""
        return self._findings

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is odd but usable, one problem each."""
        return self._findings.warnings

    @property
    def overridden(self) -> Mapping[str, str]:
        """The variable that counts instead of each key that the file has."""
        return self._findings.overridden

    @property
    def path(self) -> Path | None:
        """The file that it was loaded from, if there was one."""
        return self._findings.path

    @property
    def link_origins(self) -> tuple[str, ...]:
        """The origins of links that may be told: a simulated API has its own login pages too."""
        address = urlsplit(self.linked_api.base_url)
        simulated = () if address.scheme == "https" else (f"{address.scheme}://{address.netloc}",)
        return (*self.reconnection.link_origins, *simulated)

    def secrets(self) -> Iterator[Secret]:
        """Yield every secret that the configuration holds, for the redaction of the log.

        Tokens that stand in a `token_file` are not among them: whoever reads the file has them.
        Nor is the path of an SQLite database.
        """
        for secret in _secrets_in(self):
            text = secret.reveal()
            if text.startswith("sqlite:"):
                continue
            yield secret
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
            yield from _secrets_in(tuple(value.values()))
        case tuple() | list() | set() | frozenset():
            for part in value:
                yield from _secrets_in(part)
        case _:
            return


@cache
def adapter(kind: Any) -> TypeAdapter[Any]:
    """Return what validates a value of *kind*."""
    return TypeAdapter(kind)


def keys(kind: Any, location: Location = ()) -> tuple[str, ...]:
    """Return the keys that *kind* has at *location*, `_file` forms included."""
    files = () if location else (f"{key}_file" for key in secret_keys(kind))
    return tuple(dict.fromkeys((*declared(kind, location), *files)))


@cache
def declared(kind: Any, location: Location = ()) -> Mapping[str, Any]:
    """Return the keys that *kind* declares at *location*, each with its schema."""
    root = _schema(kind)
    schema = _resolved(root, root)
    for step in location:
        inner = schema.get("properties", {}).get(step)
        schema = _resolved(root, inner or schema.get("items") or {})
    properties: Mapping[str, Any] = schema.get("properties", {})
    return properties


@cache
def _schema(kind: Any) -> Mapping[str, Any]:
    return adapter(kind).json_schema(schema_generator=_Schema)


@cache
def secret_keys(kind: Any) -> tuple[str, ...]:
    """Return the keys of *kind* whose values are secrets: each has a `_file` form."""
    return tuple(key for key, schema in declared(kind).items() if _has_format(schema, "password"))


@cache
def path_keys(kind: Any) -> tuple[str, ...]:
    """Return the keys of *kind* whose values are the paths of files."""
    return tuple(key for key, schema in declared(kind).items() if _has_format(schema, "path"))


def _has_format(schema: Mapping[str, Any], name: str) -> bool:
    """Return whether *schema*, or an alternative of it, is text of the format *name*."""
    return any(form.get("format") == name for form in (schema, *schema.get("anyOf", ())))


def _resolved(root: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Follow references, and take the alternative that has keys or items."""
    while "$ref" in schema:
        schema = root["$defs"][schema["$ref"].rpartition("/")[2]]
    references = (*schema.get("anyOf", ()), *schema.get("oneOf", ()))
    alternatives = [_resolved(root, reference) for reference in references]
    for kind in ("properties", "items"):
        for alternative in alternatives:
            if kind in alternative:
                return alternative
    return schema


class _Schema(GenerateJsonSchema):
    """A schema whose defaults are written as in the file, those in lists too."""

    def encode_default(self, dft: Any) -> Any:
        """Write a default (the interface of pydantic)."""
        if isinstance(dft, tuple):
            return [self.encode_default(item) for item in dft]
        return super().encode_default(dft)


def schema() -> dict[str, Any]:
    """Return the JSON Schema of the configuration file, all known types of receivers included."""
    types = {name: notifiers.settings_type(name) for name in notifiers.notifier_types()}
    models: list[type[BaseModel]] = [Config, *types.values()]
    references, whole = models_json_schema(
        [(model, "validation") for model in models], schema_generator=_Schema
    )
    root = _resolved(whole, references[Config, "validation"])
    receivers = [
        {
            "properties": {"type": {"const": name}},
            "required": ["type"],
            **references[model, "validation"],
        }
        for name, model in types.items()
    ]
    properties = {"receivers": {"type": "array", "items": {"anyOf": receivers}}}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **root,
        "properties": {**root["properties"], **properties},
        "required": [],
        "title": "linkedapi-monitor",
        "$defs": {name: _with_files(part) for name, part in whole["$defs"].items()},
    }


def _with_files(definition: dict[str, Any]) -> dict[str, Any]:
    """Add the `_file` form of each secret, which stands in for the secret itself."""
    properties = definition.get("properties", {})
    files = {f"{key}_file" for key, part in properties.items() if _has_format(part, "password")}
    if not files:
        return definition
    added = {key: {"type": "string"} for key in sorted(files - properties.keys())}
    required = [key for key in definition.get("required", ()) if f"{key}_file" not in files]
    return {**definition, "properties": {**properties, **added}, "required": required}

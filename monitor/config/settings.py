"""The whole configuration as one frozen value; each part's own settings stand beside the part.

`json_schema` has their keys.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import unquote, urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    PrivateAttr,
    SerializeAsAny,
    SerializerFunctionWrapHandler,
    Tag,
    model_serializer,
    model_validator,
)

from monitor.core.bounds import span
from monitor.core.doc import Doc
from monitor.core.duration import Duration
from monitor.core.inventory import AccountRow, AccountRule, Inventory
from monitor.core.model import Micros
from monitor.core.mutes import MuteRule
from monitor.core.policy import (
    DeliveryPolicy,
    IncidentPolicy,
    Labels,
    ReconnectionPolicy,
    SubscriptionPolicy,
)
from monitor.core.route import Route
from monitor.core.secret import Secret
from monitor.core.text import clean
from monitor.cron import check_cron, next_time
from monitor.files import FileContents
from monitor.notifiers import Name, ReceiverSettings, TimezoneName
from monitor.source.settings import LinkedApiSettings
from monitor.store.settings import StorageSettings
from monitor.web.settings import WebSettings

from .accounts_file import AccountsFile

_PASSWORD: Final = re.compile(r"[^/?#]*//[^/?#@:]*:([^/?#@]+)@")


class PollSettings(BaseModel, frozen=True, extra="forbid"):
    """The section `poll`, for all workspaces or for one.

    A workspace is polled *every* so often, or when the crontab expression *cron* says so, in
    *timezone* (None: that of the configuration). Each poll is put off by some *jitter*.
    """

    every: Annotated[
        Duration,
        span("1s", "7d", "for so long nobody hears of an account"),
        Doc(
            "from 1 s to 7 d, and within `requests_per_minute`. A restart changes nothing of it:"
            " only what is new, overdue or has something open is looked at within a minute",
            example="30s",
        ),
    ] = Duration.parse("60s")
    cron: Annotated[
        Annotated[str, AfterValidator(check_cron)] | None,
        Doc(
            "a crontab expression in place of `every`: minute, hour, day of month, month, weekday"
            " (names, or numbers where 0 and 7 are Sunday); a restricted day of month and a"
            " restricted weekday are alternatives. What the clocks skip in spring comes when they"
            " change; in the hour that they go through twice in autumn fixed minutes and hours come"
            " once, those that begin with `*` twice",
            example="*/5 8-20 * * mon-fri",
        ),
    ] = None
    timezone: Annotated[
        TimezoneName | None,
        Doc("of `cron`", example="Europe/Berlin", default="that of the file"),
    ] = None
    jitter: Annotated[
        Duration,
        span("0s", "1h"),
        Doc(
            "each poll is put off by at most so much (and at most a quarter of the interval)",
            example="30s",
        ),
    ] = Duration.parse("5s")

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

    name: Annotated[
        Name,
        Doc(
            "how messages and metrics call it; the recorded state belongs to this name",
            example="acme",
        ),
    ] = "default"
    renamed_from: Annotated[Name | None, Doc("the name that it had before", example="old-name")] = (
        None
    )
    token: Annotated[
        Secret | None, Doc("the token; or `token_file`", example="${LINKED_API_TOKEN}")
    ] = None
    token_file: Annotated[
        Path | None,
        Doc("the file that holds the token", example="/run/secrets/linked-api-token"),
    ] = None
    labels: Annotated[
        Labels,
        Doc(
            "names and values of your own, for routes, addresses and messages",
            example={"team": "growth"},
        ),
    ] = Field(default_factory=dict)
    poll: Annotated[
        PollSettings,
        Doc(
            "any key of `poll`, for this workspace alone",
            example={"every": "5m"},
            default="the section `poll`",
        ),
    ] = Field(default_factory=PollSettings)

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


def _check_printable(text: str) -> str:
    if text != clean(text.strip(), limit=len(text)) or not text.isprintable():
        raise ValueError("must be words on one line, without an address")
    return text


MonitorName = Annotated[str, Field(min_length=1, max_length=64), AfterValidator(_check_printable)]
TitlePrefix = Annotated[str, Field(max_length=40), AfterValidator(_check_printable)]


def _to_lower(value: Any) -> Any:
    """Take `INFO` for `info`: other programs write such words in capitals."""
    return value.lower() if isinstance(value, str) else value


class MetricsSettings(BaseModel, frozen=True, extra="forbid"):
    """The section `metrics`: which accounts have series of their own, and whether with names.

    By itself (`auto`) it shows names only to this machine, or to who has the token.
    """

    per_account: Annotated[
        Literal["all", "unhealthy", "none"],
        Doc("accounts with series of their own: `all`, `unhealthy`, `none`", example="unhealthy"),
    ] = "all"
    account_names: Annotated[
        Literal[True, False, "auto"],
        BeforeValidator(_to_bool),
        Doc(
            "whether `linkedapi_account_info` shows names and profiles: `true`, `false`, or only if"
            " `web.listen` is a loopback address or `web.metrics_token` is set",
            example=False,
        ),
    ] = "auto"


class LogSettings(BaseModel, frozen=True, extra="forbid"):
    """The section `log`; without a *format* it is `console` on a terminal and `json` elsewhere."""

    level: Annotated[
        Literal["debug", "info", "warning", "error"],
        BeforeValidator(_to_lower),
        Doc("`debug`, `info`, `warning`, `error`", example="warning"),
    ] = "info"
    format: Annotated[
        Literal["json", "console"] | None,
        BeforeValidator(_to_lower),
        Doc(
            "`json`, one object a line, or `console`, for people",
            example="json",
            default="`console` on a terminal, else `json`",
        ),
    ] = None


def _check_asked(value: Any) -> Any:
    if value is False or isinstance(value, Mapping | SubscriptionPolicy):
        return value
    raise ValueError("must be false, or hold `every`")


@dataclass(frozen=True, slots=True)
class Findings:
    """What was found while the configuration was loaded: *warnings* of what is odd but usable.

    *overridden* has the variable that counts instead of each key that the file has; *notes* say
    what a person who checks it should know. *path* is the file, None if there is none, *sections*
    are those that it has, *size* is how many characters, and it *is_whole* if it ends with a line.

    *contents* is what all files held that it was read from: of these *accounts_file* is one, and
    *secret_files* has those of the receivers' secrets, by name and key.
    """

    warnings: tuple[str, ...] = ()
    overridden: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    path: Path | None = None
    accounts_file: AccountsFile | None = None
    contents: FileContents = field(default_factory=FileContents)
    secret_files: Mapping[str, Mapping[str, Path]] = field(default_factory=dict)
    sections: frozenset[str] = frozenset()
    size: int = 0
    is_whole: bool = True


class Config(BaseModel):
    """Everything that people decide, as it was when it was loaded."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[
        MonitorName | None,
        Doc(
            "what this monitor is called in test messages, at the end of mails and in the log",
            example="prod",
            default="the name of the host",
        ),
    ] = None
    title_prefix: Annotated[
        TitlePrefix, Doc("what the titles of all messages begin with", example="[staging]")
    ] = ""
    workspaces: Annotated[
        tuple[WorkspaceSettings, ...],
        Doc(
            "one entry for each Linked API token. Needed, here or as `LINKED_API_TOKEN`",
            example=[{"name": "acme", "token": "${LINKED_API_TOKEN}"}],
        ),
    ]
    accounts: Annotated[
        tuple[AccountRule, ...],
        Doc(
            "who owns which account, and which accounts are not watched",
            example=[{"match": {"name": "Jane *"}, "labels": {"owner": "jane@example.com"}}],
        ),
    ] = ()
    accounts_file: Annotated[
        Path | None,
        Doc(
            "a table (CSV) of accounts with the columns `id`, `url` or `name`, then labels, and"
            " `ignore`; its rows count after the entries of `accounts`",
            example="owners.csv",
        ),
    ] = None
    linked_api: Annotated[
        LinkedApiSettings, Doc("how Linked API is asked", example={"timeout": "10s"})
    ] = LinkedApiSettings()
    poll: Annotated[
        PollSettings, Doc("when each workspace is looked at", example={"every": "5m"})
    ] = PollSettings()
    incidents: Annotated[
        IncidentPolicy,
        Doc("what counts as a problem, and when to remind", example={"open_after": 2}),
    ] = IncidentPolicy()
    subscription: Annotated[
        Annotated[SubscriptionPolicy, Tag("\0keys")] | Annotated[Literal[False], Tag("\0false")],
        Discriminator(lambda value: "\0false" if value is False else "\0keys"),
        BeforeValidator(_check_asked),
        Doc(
            "early warnings about how the accounts are paid for; `false`: none",
            example={"every": "2h"},
        ),
    ] = SubscriptionPolicy()
    reconnection: Annotated[ReconnectionPolicy, Doc("login links", example={"create": "never"})] = (
        ReconnectionPolicy()
    )
    receivers: Annotated[
        tuple[SerializeAsAny[ReceiverSettings], ...],
        Doc(
            "who can be told; without one, alerts go to the log",
            example=[{"name": "ops-slack", "type": "slack", "url": "${SLACK_WEBHOOK_URL}"}],
        ),
    ] = ()
    routes: Annotated[
        tuple[Route, ...],
        Doc(
            "who hears of what: the first that matches decides; without routes every receiver hears"
            " everything",
            example=[{"match": {"cause": "frozen"}, "to": ["ops-email"]}, {"to": ["ops-slack"]}],
        ),
    ] = ()
    mutes: Annotated[
        tuple[MuteRule, ...],
        Doc(
            "when nobody, or some receivers, are told of what matches",
            example=[{"match": {"scope": "account"}, "cron": "0 22 * * *", "for": "8h"}],
        ),
    ] = ()
    fallback: Annotated[
        str | None,
        Doc(
            "the receiver that hears what no route matches and what could not be delivered",
            example="ops-email",
        ),
    ] = None
    delivery: Annotated[
        DeliveryPolicy, Doc("how long messages are tried", example={"deadline": "12h"})
    ] = DeliveryPolicy()
    storage: Annotated[
        StorageSettings,
        Doc(
            "where the state lives",
            example={"url": "sqlite:////data/monitor.db"},
            default="`monitor.db` in your data folder",
        ),
    ] = Field(default_factory=StorageSettings)
    web: Annotated[
        WebSettings,
        Doc("the metrics and the health checks", example={"listen": "[::]:9464"}),
    ] = WebSettings()
    metrics: Annotated[
        MetricsSettings,
        Doc("what the metrics say of accounts", example={"per_account": "unhealthy"}),
    ] = MetricsSettings()
    log: Annotated[LogSettings, Doc("the monitor's own log", example={"level": "warning"})] = (
        LogSettings()
    )
    reload: Annotated[
        Literal["signal", "watch"],
        Doc(
            "when this file is read again: at SIGHUP; or, with `watch`, also within 15 s after it,"
            " the file of a secret or `accounts_file` holds something else",
            example="watch",
        ),
    ] = "signal"
    timezone: Annotated[
        TimezoneName, Doc("of the times that people read", example="Europe/Berlin")
    ] = "UTC"

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
    def account_rows(self) -> tuple[AccountRow, ...]:
        """The rows of `accounts_file`."""
        accounts_file = self._findings.accounts_file
        return tuple(accounts_file.rows.values()) if accounts_file else ()

    def inventory(self) -> Inventory:
        """Return who owns which account, and which are not watched."""
        matches = [*(it.match for it in self.routes), *(it.match for it in self.mutes)]
        return Inventory(
            {workspace.name: dict(workspace.labels) for workspace in self.workspaces},
            self.accounts,
            routed=(glob for match in matches for glob in match.accounts),
            rows=self.account_rows,
        )

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

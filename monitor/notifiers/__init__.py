"""Notifiers: one file per type of destination; the folder is the registry.

A module of this folder (or an entry point of the group `linkedapi_monitor.notifiers`) named `slack`
is the type `slack`. It has two classes: `Settings`, what a person writes in the configuration, and
`Notifier`, which sends one message and returns a `Receipt`, or raises `DeliveryError` if it was not
accepted. Whatever is a `Secret` among the settings may stand in a file: the configuration reads
`url_file` into `url`. Commands that send nothing load these modules for the settings: what is slow
to load and serves sending alone is imported where something is sent.
"""

import importlib
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from importlib.metadata import entry_points
from types import ModuleType
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from monitor.core.bounds import span
from monitor.core.doc import Doc
from monitor.core.duration import Duration
from monitor.core.errors import MonitorError
from monitor.core.notification import Message
from monitor.core.receipt import Receipt
from monitor.core.render import Style
from monitor.core.secret import Secret
from monitor.core.text import check_timezone
from monitor.net.proxy import Proxies

if TYPE_CHECKING:  # who reads the settings alone is spared the whole of HTTP
    import httpx

GROUP: Final = "linkedapi_monitor.notifiers"
DEFAULT_TIMEOUT: Final = Duration.parse("20s")
NAME: Final = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"

Name: TypeAlias = Annotated[str, Field(pattern=NAME)]
"""The name of a receiver or a workspace."""

TimezoneName: TypeAlias = Annotated[str, AfterValidator(check_timezone)]


class ReceiverSettings(BaseModel):
    """What every receiver has, whatever its type.

    An attempt to deliver is given up after *timeout*. *insecure* allows what could be read on its
    way to it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    name: Annotated[Name, Doc("for routes, metrics and lists", example="ops-slack")]
    type: Annotated[str, Doc("what kind of destination it is", example="slack")]
    link: Annotated[
        Literal["full", "none"],
        Doc(
            "whether messages hold the login link, or `none`; `log` never shows it", example="none"
        ),
    ] = "full"
    timezone: Annotated[
        TimezoneName | None,
        Doc("of the times in messages", example="Europe/Berlin", default="that of the file"),
    ] = None
    timeout: Annotated[
        Duration,
        span("1s", "60s", "nobody is told twice meanwhile"),
        Doc("how long an attempt may take, from `1s` to `60s`", example="30s"),
    ] = DEFAULT_TIMEOUT
    insecure: Annotated[
        bool,
        Doc(
            "`true` allows what can be read on its way to another machine: `http://`, or of mail"
            " `tls: none` with a password",
            example=True,
        ),
    ] = False

    @property
    def address_label(self) -> str | None:
        """The label of an account that holds the address, for a receiver without one of its own."""
        return None

    @property
    def sample_address(self) -> str:
        """Where a test message goes, for a receiver without an address of its own."""
        return ""

    @property
    def urls(self) -> tuple[Secret, ...]:
        """The addresses that its messages are posted to, for a receiver that is told by HTTP."""
        return ()

    @property
    def oddities(self) -> Mapping[str, str]:
        """What is usable but was hardly meant: a sentence by key."""
        return {}

    @property
    def label_checks(self) -> Mapping[str, Callable[[str], object]]:
        """What raises ValueError if the value of a label is of no use to it, by label."""
        return {}


class Notifier(ABC):
    """Sends messages to one receiver; each attempt is over within its `timeout`.

    *groups* says whether one message may tell of many incidents (people) or only of one (machines);
    *is_machine*, whether it is to hear at once of what people see in what they are told next.
    """

    groups: ClassVar[bool] = True
    is_machine: ClassVar[bool] = False

    def __init__(self, settings: Any, *, http: "httpx.AsyncClient", style: Style) -> None:
        self.settings = settings
        self.style = style
        self.http = http

    @abstractmethod
    async def send(self, message: Message) -> Receipt:
        """Send *message*, once; raise DeliveryError if it was not accepted."""


def notifier_types() -> tuple[str, ...]:
    """Return the names of all types; raise MonitorError if two have the same one."""
    return tuple(sorted(_paths()))


def settings_type(kind: str) -> type[ReceiverSettings]:
    """Return the settings of the type *kind*; raise MonitorError if it is unknown or broken."""
    settings: type[ReceiverSettings] = _load(kind).Settings
    return settings


def groups(settings: ReceiverSettings) -> bool:
    """Say whether one message to this receiver may tell of many incidents."""
    return bool(_load(settings.type).Notifier.groups)


def is_machine(settings: ReceiverSettings) -> bool:
    """Say whether this receiver follows incidents by rule."""
    return bool(_load(settings.type).Notifier.is_machine)


def build(
    settings: ReceiverSettings, *, http: "httpx.AsyncClient", proxies: Proxies, style: Style
) -> Notifier:
    """Make the notifier of a receiver; raise SetupError if it can't work as configured.

    It writes in *style*, but with times in the receiver's own time zone if it has one. *proxies*
    are those that *http* uses.
    """
    for url in settings.urls:
        proxies.find(url.reveal())
    style = replace(style, timezone=settings.timezone or style.timezone)
    notifier: Notifier = _load(settings.type).Notifier(settings, http=http, style=style)
    return notifier


@cache
def _paths() -> Mapping[str, str]:
    paths = {
        module.name: f"{__name__}.{module.name}"
        for module in pkgutil.iter_modules(__path__)
        if not module.name.startswith("_")
    }
    for point in entry_points(group=GROUP):
        if point.name in paths:
            raise MonitorError(
                f"the entry point {point.name!r} of {GROUP} ({point.value}) takes a name "
                "that is in use: remove the package or rename its entry point"
            )
        paths[point.name] = point.value
    return paths


def _load(kind: str) -> ModuleType:
    paths = _paths()
    if kind not in paths:
        raise MonitorError(f"there is no notifier {kind!r}; there are {', '.join(sorted(paths))}")
    path = paths[kind]
    try:
        module = importlib.import_module(path)
    except Exception as error:
        if path.startswith(f"{__name__}."):
            raise
        raise MonitorError(
            f"the notifier {kind!r} ({path}) cannot be imported: {type(error).__name__}: {error}"
        ) from error
    for name in ("Settings", "Notifier"):
        if not isinstance(getattr(module, name, None), type):
            raise MonitorError(f"the notifier {kind!r} ({path}) has no class {name}")
    if not issubclass(module.Settings, ReceiverSettings):
        raise MonitorError(f"Settings of the notifier {kind!r} ({path}) are no ReceiverSettings")
    return module


def open_http(proxies: Proxies) -> "httpx.AsyncClient":
    """Return the client that all receivers share; the caller closes it.

    Each attempt has its own time limit and connection: messages are rare, and a connection that was
    kept may be dead without anybody knowing.
    """
    from monitor.net import http, tls  # noqa: PLC0415 - only who sends needs it

    return http.open_http(proxies=proxies, tls_context=tls.tls_context())

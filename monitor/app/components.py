"""From a configuration to the objects made of it, each given what it needs and no more."""

from collections.abc import Callable, Collection, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from hashlib import sha256

import httpx
import structlog

from monitor import __version__, notifiers
from monitor.config import Config
from monitor.config.settings import PollSettings, WorkspaceSettings
from monitor.core.render import Style
from monitor.core.runtime import Runtime
from monitor.log import mask
from monitor.metrics import Metrics
from monitor.net.http import Client
from monitor.net.proxy import Proxies
from monitor.notifiers import Notifier, ReceiverSettings
from monitor.source.budget import Budget
from monitor.source.client import LinkedApi
from monitor.source.settings import LinkedApiSettings
from monitor.source.token import Token
from monitor.source.transport import open_http
from monitor.store.db import Store
from monitor.work.deliver import DeliveryRules
from monitor.work.poll import PollRules
from monitor.work.record import Recorder
from monitor.work.tick import TickRules

from . import process
from .process import REAL
from .routing import make_routing, receivers_of

log = structlog.get_logger("app")


@dataclass(slots=True)
class Resources:
    """What stays while configurations come and go: the database, the metrics, the HTTP clients."""

    store: Store
    http: httpx.AsyncClient
    runtime: Runtime
    closing: AsyncExitStack
    proxies: Proxies
    metrics: Metrics = field(default_factory=lambda: Metrics(version=__version__))
    apis: dict[LinkedApiSettings, Client] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.store.observe(self.metrics.transacted)

    async def api(self, settings: LinkedApiSettings) -> Client:
        """Return the client of Linked API; other *settings* have another one.

        It stays open until the end: a request may still be in flight on it.
        """
        if settings not in self.apis:
            self.apis[settings] = await self.closing.enter_async_context(
                open_http(settings, self.proxies)
            )
        return self.apis[settings]


@dataclass(frozen=True, slots=True)
class Source:
    """How one workspace is read, and what of the configuration that was made of."""

    made_of: tuple[object, ...]
    client: LinkedApi


class Components:
    """The objects made of one configuration.

    *replica* is this monitor's id. *wake* wakes receivers, *look* a workspace; *refused* is called
    with a receiver to be mended, and *is_sure* returns whether what it holds is surely its own.
    Making them changes nothing; raise MonitorError if one of them can't work as configured.
    """

    def __init__(
        self,
        config: Config,
        resources: Resources,
        api: Client,
        replica: str,
        *,
        wake: Callable[[Collection[str]], None],
        look: Callable[[str], None],
        refused: Callable[[str], None] = lambda _: None,
        is_sure: Callable[[], bool] = lambda: True,
    ) -> None:
        self.config = config
        self.refused = refused
        self.is_sure = is_sure
        self.workspaces = {settings.name: settings for settings in config.workspaces}
        self._rules: dict[PollSettings, PollRules] = {}
        self._requested = resources.metrics.requested
        self.recorder = Recorder(
            replica, resources.store, resources.metrics, resources.runtime, wake, look
        )
        self._api = api
        if not config.receivers:
            log.warning("no receivers are configured: alerts go to the log only")
        self.settings = {settings.name: settings for settings in receivers_of(config)}
        self.routing = make_routing(config)
        self.receivers = self.routing.receivers
        self.fallback = self.receivers[config.fallback] if config.fallback else None
        self.ask_every = config.subscription.every if config.subscription else None
        self.tick_rules = TickRules(config.incidents, self.routing, config.storage.keep)
        self.delivery_rules = DeliveryRules(config.delivery, self.routing.inventory, self.fallback)
        self.notifiers = build_notifiers(
            config, self.settings, http=resources.http, proxies=resources.proxies
        )

    def rules(self, settings: WorkspaceSettings) -> PollRules:
        """Return the configuration of one workspace's polls; most have the same."""
        if settings.poll not in self._rules:
            self._rules[settings.poll] = PollRules(
                policy=self.config.incidents,
                routing=self.routing,
                next_due=settings.poll.next_due,
                create=self.config.reconnection.create == "if_missing",
                cooldown=self.config.reconnection.cooldown,
                refresh_after=self.config.reconnection.refresh_after,
            )
        return self._rules[settings.poll]

    def source(
        self, settings: WorkspaceSettings, budget: Budget, before: Source | None = None
    ) -> Source:
        """Return how one workspace is read: *before* if nothing that it is made of is new."""
        config = self.config
        token = settings.token or settings.token_file
        made_of = (token, config.linked_api, config.link_origins)
        if before and before.made_of == made_of:
            return before
        return Source(made_of, source(config, settings, self._api, self._requested, budget))


def source(
    config: Config,
    settings: WorkspaceSettings,
    http: Client,
    observe: Callable[[str, str, float], None],
    budget: Budget | None = None,
) -> LinkedApi:
    """Return the client of one workspace."""
    token = settings.token or settings.token_file
    assert token is not None
    return LinkedApi(
        http=http,
        token=Token(token, mask=mask),
        settings=config.linked_api,
        link_origins=config.link_origins,
        observe=observe,
        monotonic=REAL.monotonic,
        budget=budget,
    )


def fingerprint(config: Config) -> str:
    """Return by what another configuration is known: other workspaces, or other receivers."""
    workspaces = sorted((it.name, sorted(it.labels.items())) for it in config.workspaces)
    receivers = sorted(repr(it.model_dump()) for it in config.receivers)  # secrets are hidden
    return sha256(repr((workspaces, receivers)).encode()).hexdigest()


def style_of(config: Config) -> Style:
    """Return how messages are written as *config* wants it."""
    host = process.host()
    return Style(
        timezone=config.timezone,
        prefix=config.title_prefix,
        monitor=config.name or host,
        host=host,
        billing_url=config.linked_api.billing_url,
    )


def build_notifiers(
    config: Config,
    receivers: Mapping[str, ReceiverSettings],
    *,
    http: httpx.AsyncClient,
    proxies: Proxies,
) -> dict[str, Notifier]:
    """Return the notifier of each of the *receivers*."""
    style = style_of(config)
    return {
        name: notifiers.build(settings, http=http, proxies=proxies, style=style)
        for name, settings in receivers.items()
    }


def check_network(config: Config, proxies: Proxies) -> tuple[str, ...]:
    """Make whatever would speak to others, without a word to them; return what is odd.

    Raise SetupError if something can't work as configured, or in these surroundings.
    """
    open_http(config.linked_api, proxies)
    receivers = {settings.name: settings for settings in config.receivers}
    build_notifiers(config, receivers, http=notifiers.open_http(proxies), proxies=proxies)
    return proxies.warnings

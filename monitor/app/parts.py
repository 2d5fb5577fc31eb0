"""From one configuration to the parts of the monitor, each given what it needs and no more."""

from collections.abc import Callable
from urllib.parse import urlsplit

import httpx
import structlog

from monitor import __version__, notifiers
from monitor.config import Config
from monitor.config.settings import RouteSettings, WorkspaceSettings
from monitor.core.model import Workspace
from monitor.core.route import Match, Route, Routing
from monitor.core.surroundings import Surroundings
from monitor.deliver import Deliverer, DeliveryRules
from monitor.metrics import Metrics
from monitor.notifiers import Notifier, ReceiverSettings
from monitor.poll import Poller, Rules
from monitor.reconnect import Reconnector
from monitor.source.client import LinkedApi
from monitor.source.token import Token
from monitor.store.claims import View
from monitor.store.db import Store
from monitor.store.outbox import Receiver
from monitor.tick import Ticker, TickRules

from .surroundings import REAL

log = structlog.get_logger("app")


def source(
    config: Config,
    settings: WorkspaceSettings,
    http: httpx.AsyncClient,
    observe: Callable[[str, str, float], None],
) -> tuple[LinkedApi, Token]:
    """Return the client of one workspace, and its token."""
    given = settings.token or settings.token_file
    assert given is not None
    token = Token(given)
    client = LinkedApi(
        http=http,
        token=token,
        settings=config.linked_api,
        link_origins=(*config.reconnection.link_origins, *_own_origin(config)),
        observe=observe,
        monotonic=REAL.monotonic,
        version=__version__,
    )
    return client, token


def notifier(config: Config, settings: ReceiverSettings, http: httpx.AsyncClient) -> Notifier:
    """Return what hands messages to one receiver."""
    return notifiers.build(settings, http=http, timezone=settings.timezone or config.timezone)


class Parts:
    """Makes the parts of one monitor; they share its database, metrics and HTTP clients."""

    def __init__(
        self,
        config: Config,
        *,
        store: Store,
        api: httpx.AsyncClient,
        http: httpx.AsyncClient,
        around: Surroundings,
    ) -> None:
        self.config = config
        self.around = around
        self.store = store
        self.metrics = Metrics(
            version=__version__,
            per_account=config.metrics.per_account,
            account_names=config.metrics.account_names,
        )
        self.labels = {one.name: dict(one.labels) for one in config.workspaces}
        self.settings = {one.name: one for one in _receivers(config)}
        self.receivers = {
            name: Receiver(name, notifiers.groups(one), one.link != "none")
            for name, one in self.settings.items()
        }
        self.fallback = self.receivers[config.fallback] if config.fallback else None
        self.routing = Routing(
            groups={name: one.groups for name, one in self.receivers.items()},
            routes=tuple(_route(one) for one in config.routes),
            fallback=config.fallback,
        )
        self.view = View(self.labels, self._is_current)
        self._pollers: dict[str, Poller] = {}
        self._api = api
        self._http = http
        kinds = {name: one.type for name, one in self.settings.items()}
        self.metrics.declare(workspaces=self.labels, receivers=kinds)

    def watch(
        self, settings: WorkspaceSettings, workspace: Workspace, term: int
    ) -> tuple[Poller, Reconnector]:
        """Return what polls a workspace and what asks for the links that it lacks."""
        config = self.config
        client, token = source(config, settings, self._api, self.metrics.requested)
        rules = Rules(
            policy=config.incidents,
            routing=self.routing,
            labels=self.labels[settings.name],
            every=settings.poll.every,
            create=config.reconnection.create == "if_missing",
            cooldown=config.reconnection.cooldown,
        )
        poller = Poller(
            workspace,
            term,
            rules=rules,
            source=client,
            token_changed=token.changed,
            store=self.store,
            metrics=self.metrics,
            around=self.around,
        )
        self._pollers[settings.name] = poller
        reconnector = Reconnector(
            settings.name,
            source=client,
            store=self.store,
            metrics=self.metrics,
            routing=rules.routing,
            labels=rules.labels,
            create=rules.create,
            around=self.around,
        )
        return poller, reconnector

    def _is_current(self, workspace: str) -> bool:
        poller = self._pollers.get(workspace)
        return poller is not None and poller.is_current()

    def deliverer(self, name: str) -> Deliverer:
        """Return what delivers to the receiver *name*."""
        settings = self.settings[name]
        return Deliverer(
            self.receivers[name],
            notifier(self.config, settings, self._http),
            kind=settings.type,
            rules=DeliveryRules(self.config.delivery, self.view, self.fallback),
            store=self.store,
            metrics=self.metrics,
            around=self.around,
        )

    def ticker(self) -> Ticker:
        """Return what does the work that time alone brings."""
        config = self.config
        rules = TickRules(config.incidents, self.routing, self.view, config.storage.keep)
        return Ticker(rules=rules, store=self.store, metrics=self.metrics, around=self.around)


def _own_origin(config: Config) -> tuple[str, ...]:
    """Return where a simulated API on this machine has its login pages: at its own address."""
    address = urlsplit(config.linked_api.base_url)
    return () if address.scheme == "https" else (f"{address.scheme}://{address.netloc}",)


def _receivers(config: Config) -> tuple[ReceiverSettings, ...]:
    if config.receivers:
        return config.receivers
    log.warning("no receivers are configured: alerts go to the log only")
    return (notifiers.settings_type("log")(name="log", type="log"),)


def _route(settings: RouteSettings) -> Route:
    match = settings.match
    return Route(
        Match(
            causes=match.cause,
            workspaces=match.workspace,
            accounts=match.account,
            scopes=match.scope,
            labels=match.labels,
        ),
        settings.to,
        settings.continue_,
    )

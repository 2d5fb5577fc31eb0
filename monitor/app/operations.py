"""What a command has done by the whole program: run it, look once, send test messages."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass
from typing import Any

import structlog

from monitor import notifiers
from monitor.config import Config
from monitor.core.errors import ApiError, DeliveryError
from monitor.core.model import EventType, Observation, Snapshot
from monitor.core.notification import Message, Notification
from monitor.core.receipt import Receipt
from monitor.core.runtime import Runtime
from monitor.core.subscription import Subscription
from monitor.log import LogQueue
from monitor.net.proxy import Proxies, from_environment
from monitor.source.client import LinkedApi
from monitor.source.transport import open_http
from monitor.store.upgrade import open_upgraded
from monitor.work.deliver import attempt

from . import components, process
from .loops import App
from .process import REAL, new_id, now
from .reload import OnLoad

log = structlog.get_logger("app")


@asynccontextmanager
async def opened(
    config: Config, runtime: Runtime = REAL, *, proxies: Proxies | None = None, **options: Any
) -> AsyncIterator[App]:
    """Open the database and the HTTP clients, and put the monitor together over them.

    *proxies* are those of the environment if nothing else is said; *options* are those of `App`.
    """
    async with AsyncExitStack() as stack:
        proxies = from_environment() if proxies is None else proxies
        # before there is anything to give up
        for warning in components.check_network(config, proxies):
            log.warning("odd surroundings", warning=warning)
        store = stack.enter_context(closing(open_upgraded(config.storage.location, runtime)))
        http = await stack.enter_async_context(notifiers.open_http(proxies))
        yield App(config, components.Resources(store, http, runtime, stack, proxies), **options)


async def run(
    load: Callable[[], Config], on_load: OnLoad, log_queue: LogQueue | None = None
) -> None:
    """Run the monitor until SIGTERM or SIGINT; raise MonitorError if it can't.

    *load* reads the configuration, now and at each SIGHUP; *on_load* is called with each that is
    read, and with what the log must not show. What *log_queue* drops is counted.
    """
    process.ignore_reloads()
    process.check_limits()
    process.collect_seldom()
    config = load()
    on_load(config, set(config.secrets()))
    socket = process.notify_socket()
    async with opened(
        config, load=load, on_load=on_load, notify_socket=socket, log_queue=log_queue
    ) as app:
        for note in config.findings.notes:
            log.warning("configuration warning", what=note)
        process.stop_on_signals(app.stop)
        process.reload_on_signal(app.reload)
        with closing(process.endpoint_record()) as record:
            await app.run(ready=lambda url: record.write(url.removeprefix("http://"), config.path))


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at a workspace saw; *paying* is None where nobody asked how it is paid for."""

    observation: Observation
    paying: Subscription | ApiError | None = None


async def look(config: Config) -> dict[str, Look]:
    """Look at every workspace once, recording nothing: return what each look saw."""
    async with open_http(config.linked_api, from_environment()) as http:
        clients = {
            settings.name: components.source(config, settings, http, lambda *_: None)
            for settings in config.workspaces
        }
        asks = config.subscription is not False
        looks = await asyncio.gather(*(_look(client, asks=asks) for client in clients.values()))
    return dict(zip(clients, looks, strict=True))


async def _look(client: LinkedApi, *, asks: bool) -> Look:
    observation = await client.get_all()
    if not asks or not isinstance(observation, Snapshot):
        return Look(observation)
    try:
        return Look(observation, await client.get_subscription())
    except ApiError as error:
        return Look(observation, error)


async def try_receivers(config: Config, names: Iterable[str]) -> dict[str, DeliveryError | None]:
    """Send a test message to the receivers *names*; return for each why it failed, if it did."""
    settings = {receiver.name: receiver for receiver in config.receivers}
    results: dict[str, DeliveryError | None] = {}
    proxies = from_environment()
    async with notifiers.open_http(proxies) as http:
        for name in names:
            notification = Notification(
                event=EventType.NOTICE,
                at=now(),
                workspace=config.workspaces[0].name,
                labels={},
                account=None,
                incident=None,
                detail="Nothing to do: somebody tried whether messages of this monitor arrive.",
            )
            style = components.style_of(config)
            notifier = notifiers.build(settings[name], http=http, proxies=proxies, style=style)
            address = settings[name].sample_address
            message = Message(new_id(), name, (notification,), now(), address)
            result = await attempt(notifier, message, limit=settings[name].timeout)
            results[name] = result.failure if isinstance(result, Receipt) else result
    return results

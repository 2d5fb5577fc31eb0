"""Reads the configuration again when asked to, or when its files hold something else."""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from functools import partial
from operator import attrgetter
from typing import Final

import structlog

from monitor.config import Config, ConfigError, check_successor, with_secrets_read_again
from monitor.core.errors import MonitorError
from monitor.core.secret import Secret
from monitor.store.db import StoreError
from monitor.threads import Threads

from .config_watch import ConfigWatch

FIXED: Final = ("storage.url", "web")
"""The settings that stay as they were at the start, whatever is reloaded."""

OnLoad = Callable[[Config, Collection[Secret]], None]

KEPT: Final = "reload failed; the old configuration stays in force"

log = structlog.get_logger("app")


class Reloader:
    """Reads the configuration again, and lets it be applied.

    What is asked for is done by who calls `is_due`, `reload` and `read_secrets_again` in a loop.

    *load* reads it; *on_load* is called with each before it is applied, and with all secrets so
    far, so that no log shows them: something may still be in flight with the old ones. *apply*
    applies it, or raises MonitorError and changes nothing. *config* is the one in force, *contents*
    what the files held when they were last read for good: whatever came of it, but for a database
    that was away. With `reload: watch` they are looked at by the clock *monotonic*.
    """

    def __init__(
        self,
        config: Config,
        *,
        load: Callable[[], Config],
        on_load: OnLoad,
        apply: Callable[[Config], Awaitable[None]],
        monotonic: Callable[[], float],
    ) -> None:
        self._started_with = self.config = config
        self.contents = config.findings.contents
        self._load = load
        self._on_load = on_load
        self._apply = apply
        self._secrets = set(config.secrets())
        self._loading = Threads(1, "reload")
        self._watch = ConfigWatch(monotonic)
        self._asked = asyncio.Event()
        self._is_due = False
        self._refused: set[str] = set()  # receivers

    def ask(self) -> None:
        """Ask for the whole configuration to be read again."""
        self._is_due = True
        self._asked.set()

    def ask_for_secrets(self, receiver: str) -> None:
        """Ask for the files to be read again that hold secrets of *receiver*, if there are any."""
        if receiver in self.config.findings.secret_files:
            self._refused.add(receiver)
            self._asked.set()

    async def is_due(self) -> bool:
        """Wait until something is to be read again; return whether it is more than secrets."""
        is_watched = self.config.reload == "watch"
        with suppress(TimeoutError):
            async with asyncio.timeout(self._watch.due_in() if is_watched else None):
                await self._asked.wait()
        self._asked.clear()
        if is_watched and await self._watch.has_changed(self.contents):
            self._is_due = True
        is_due, self._is_due = self._is_due, False
        return is_due

    async def reload(self) -> bool:
        """Read the configuration and apply it; return False, and log why, if the old one stays."""
        before = self.contents
        try:
            config = await self._loading.run(self._load)
            self.contents = config.findings.contents
            check_successor(self.config, config)
            self._call_on_load(config)
            await self._apply(config)
        except ConfigError as error:
            self.contents = error.contents or self.contents
            for problem in error.shown:
                log.error("invalid configuration", problem=str(problem))  # noqa: TRY400 - says it all
            log.error(KEPT, problems=len(error.problems))  # noqa: TRY400 - likewise
        except MonitorError as error:
            if isinstance(error, StoreError):
                self.contents = before
            log.error(KEPT, error=str(error))  # noqa: TRY400 - likewise
        except Exception:
            log.exception(KEPT)
        else:
            self._note_applied(config)
            return True
        self._call_on_load(self.config)
        return False

    async def read_secrets_again(self) -> None:
        """Apply the secrets that were asked for, if their files hold other ones now."""
        while self._refused:
            await self._read_secrets_again(self._refused.pop())

    async def _read_secrets_again(self, receiver: str) -> None:
        try:
            read = partial(with_secrets_read_again, self.config, receiver)
            config = await self._loading.run(read)
            if config is self.config:
                return
            self._call_on_load(config)
            await self._apply(config)
        except MonitorError as error:
            log.warning("a new secret can't be used yet", receiver=receiver, error=str(error))
        except Exception:
            log.exception("a new secret can't be used yet", receiver=receiver)
        else:
            self.config, self.contents = config, config.findings.contents
            log.info("secret read again", receiver=receiver)

    def _call_on_load(self, config: Config) -> None:
        self._secrets.update(config.secrets())
        self._on_load(config, self._secrets)

    def _note_applied(self, config: Config) -> None:
        self.config = config
        for setting in FIXED:
            if attrgetter(setting)(config) != attrgetter(setting)(self._started_with):
                log.warning("setting needs a restart", setting=setting)
        log.info(
            "configuration reloaded",
            workspaces=len(config.workspaces),
            receivers=len(config.receivers),
        )

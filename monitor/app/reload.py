"""Reading the configuration again: taken up if it is right, loudly refused if it is not."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Final

import structlog

from monitor.config import Config, ConfigError
from monitor.core.errors import MonitorError
from monitor.core.secret import Secret

FIXED: Final[Mapping[str, Callable[[Config], object]]] = {
    "storage.url": lambda config: config.storage.url,
    "web": lambda config: config.web,
}
"""The settings that stay as they were at the start, whatever is reloaded."""

OnLoad = Callable[[Config, Collection[Secret]], None]

log = structlog.get_logger("app")


class Reloader:
    """Goes from the configuration at the start to the next one, and so on.

    *load* reads it; *on_load* hears of each before it is taken up, with all secrets so far, so
    that no log shows them: something may still be under way with the old ones. *adopt* takes it up
    or raises MonitorError and changes nothing.
    """

    def __init__(
        self,
        config: Config,
        *,
        load: Callable[[], Config],
        on_load: OnLoad,
        adopt: Callable[[Config], Awaitable[None]],
    ) -> None:
        self._started_with = self._present = config
        self._load = load
        self._tell = on_load
        self._secrets = set(config.secrets())
        self._adopt = adopt

    async def reload(self) -> bool:
        """Read the configuration and go by it; return False, and say why, if the old one stays."""
        try:
            await self._try()
        except ConfigError as error:
            for problem in error.problems:
                log.error("configuration is wrong", problem=str(problem))  # noqa: TRY400 - says it all
            log.error("the old configuration stays in force", problems=len(error.problems))  # noqa: TRY400 - likewise
        except MonitorError as error:
            log.error("the old configuration stays in force", error=str(error))  # noqa: TRY400 - likewise
        except Exception:
            log.exception("the old configuration stays in force")
        else:
            return True
        self._announce(self._present)
        return False

    def _announce(self, config: Config) -> None:
        self._secrets.update(config.secrets())
        self._tell(config, self._secrets)

    async def _try(self) -> None:
        config = await asyncio.to_thread(self._load)
        self._announce(config)
        await self._adopt(config)
        self._present = config
        for name, setting in FIXED.items():
            if setting(config) != setting(self._started_with):
                log.warning("a change that needs a restart", setting=name)
        log.info(
            "configuration reloaded",
            workspaces=len(config.workspaces),
            receivers=len(config.receivers),
        )

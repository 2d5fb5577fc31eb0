"""What people did, whoever committed it: which mutes hold, and how many acts there were."""

from collections import Counter

import structlog
from sqlalchemy import Connection

from monitor import muting
from monitor.metrics.families import ACTS, MUTES_ACTIVE
from monitor.store import acts, mutes

from .components import Resources
from .holdings import Holdings

log = structlog.get_logger("people")


class People:
    """Shows the acts and mutes in the database; acts are counted by who holds `*`, once."""

    def __init__(self, resources: Resources, holdings: Holdings) -> None:
        self._resources = resources
        self._holdings = holdings
        self._counted: Counter[tuple[str, str]] | None = None
        self._unreadable: set[str] = set()

    async def look(self) -> None:
        """Show what people have done since the last look."""
        metrics, now = self._resources.metrics, self._resources.runtime.now()
        routing = self._holdings.components.routing

        def read(tx: Connection) -> tuple[int, Counter[tuple[str, str]], set[str]]:
            unreadable = {mute.id for mute in mutes.load(tx, now) if mute.rule is None}
            return len(muting.active(tx, routing, now).active), Counter(acts.count(tx)), unreadable

        active, counts, unreadable = await self._resources.store.read(read)
        metrics.set(MUTES_ACTIVE, active)
        for id_ in sorted(unreadable - self._unreadable):
            log.warning(
                "a mute by command can't be read and mutes nothing",
                mute=id_,
                hint="did another version make it? `mute end` ends it",
            )
        self._unreadable = unreadable
        if self._counted is not None and self._holdings.holds_all:
            for act, way in (counts - self._counted).elements():  # some may have been pruned
                metrics.count(ACTS, act=act, way=way)
        self._counted = counts

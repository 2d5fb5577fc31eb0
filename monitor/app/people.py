"""What people did, whoever committed it: which mutes hold, and how many acts there were."""

from collections import Counter

from sqlalchemy import Connection

from monitor import muting
from monitor.metrics.families import ACTS, MUTES_ACTIVE
from monitor.store import acts

from .components import Resources
from .holdings import Holdings


class People:
    """Shows the acts and mutes in the database; acts are counted by who holds `*`, once."""

    def __init__(self, resources: Resources, holdings: Holdings) -> None:
        self._resources = resources
        self._holdings = holdings
        self._counted: Counter[tuple[str, str]] | None = None

    async def look(self) -> None:
        """Show what people have done since the last look."""
        metrics, now = self._resources.metrics, self._resources.runtime.now()
        routing = self._holdings.components.routing

        def read(tx: Connection) -> tuple[int, Counter[tuple[str, str]]]:
            return len(muting.active(tx, routing, now).active), Counter(acts.count(tx))

        active, counts = await self._resources.store.read(read)
        metrics.set(MUTES_ACTIVE, active)
        if self._counted is not None and self._holdings.holds_all:
            for act, way in (counts - self._counted).elements():  # some may have been pruned
                metrics.count(ACTS, act=act, way=way)
        self._counted = counts

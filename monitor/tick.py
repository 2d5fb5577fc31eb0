"""What time alone brings: reminders that are due, the clock's steps back, and upkeep."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import structlog
from sqlalchemy import Connection

from monitor.core.decide import remind
from monitor.core.duration import Duration
from monitor.core.model import Event, Micros
from monitor.core.policy import Policy
from monitor.core.route import Routing
from monitor.metrics import Metrics
from monitor.report import report
from monitor.store import outbox, state, upkeep
from monitor.store.db import Store
from monitor.store.outbox import Told

POISON_PAUSE: Final = Duration.parse("1h")
"""How long an incident that makes us fail is moved out of the way."""

log = structlog.get_logger("tick")


@dataclass(frozen=True, slots=True)
class TickRules:
    """What a tick goes by; *labels* are those of each workspace."""

    policy: Policy
    routing: Routing
    labels: Mapping[str, Mapping[str, str]]
    keep: Duration


class Ticker:
    """Does what is due, one incident at a time."""

    def __init__(
        self,
        *,
        rules: TickRules,
        store: Store,
        metrics: Metrics,
        clock: Callable[[], Micros],
        new_id: Callable[[], str],
    ) -> None:
        self.rules = rules
        self._store = store
        self._metrics = metrics
        self._clock = clock
        self._new_id = new_id

    async def tick(self) -> bool:
        """Take up the incident that has been due longest; return whether there was one."""
        now = self._clock()
        incident = await self._store.run(lambda tx: state.due_incident(tx, now))
        if incident is None:
            return False
        try:
            reminded = await self._store.run(lambda tx: self._remind(tx, incident.id, now))
        except Exception:
            until = now + POISON_PAUSE
            await self._store.run(lambda tx: state.defer(tx, incident.id, now=now, until=until))
            raise
        if reminded is not None:
            event, told = reminded
            report([event], told, self._metrics)
        return True

    async def note_time(self, good: Mapping[str, Micros]) -> None:
        """Write when each workspace was last read well, and follow a clock that went back."""
        now = self._clock()

        def write(tx: Connection) -> Duration:
            state.alive(tx, good)
            return upkeep.set_clock(tx, now)

        step = await self._store.run(write)
        if step:
            log.warning("the clock went back; what is due was brought along", by=str(step))

    async def forget(self) -> None:
        """Delete what ended longer ago than the configuration keeps it."""
        before = self._clock() - self.rules.keep
        await self._store.run(lambda tx: upkeep.forget(tx, before))

    def _remind(self, tx: Connection, incident_id: str, now: Micros) -> tuple[Event, Told] | None:
        rules = self.rules
        incident = state.incident(tx, incident_id)
        if incident is None:
            return None
        account = state.account(tx, incident.workspace, incident.account_id or "")
        reminded, event = remind(
            incident,
            account,
            failing=state.is_failing(tx, incident.workspace),
            policy=rules.policy,
            now=now,
            new_id=self._new_id,
        )
        state.write_incidents(tx, [reminded], [event] if event else [])
        if event is None:
            return None
        told = outbox.tell(
            tx,
            [event],
            routing=rules.routing,
            accounts={account.id: account} if account else {},
            labels=rules.labels.get(incident.workspace, {}),
            group_over=rules.policy.group_over,
            now=now,
            new_id=self._new_id,
        )
        return event, told

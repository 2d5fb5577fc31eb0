"""What time alone brings: reminders, ends of workspaces that left, the clock, retention."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import structlog
from sqlalchemy import Connection

from monitor.core.decide import remind, unwatch
from monitor.core.duration import Duration
from monitor.core.model import Account, Event, Micros
from monitor.core.policy import IncidentPolicy
from monitor.core.route import Routing
from monitor.core.runtime import Runtime
from monitor.metrics import Metrics
from monitor.store import accounts, clock, incidents, outbox, retention, workspaces
from monitor.store.claims import View
from monitor.store.db import Store, StoreError
from monitor.store.outbox import Enqueued
from monitor.work.record import publish

AT_ONCE: Final = 1000
"""How many reminders one commit takes up at the most."""

POISON_PAUSE: Final = Duration.parse("1h")
"""How long an incident or a workspace that makes us fail is moved out of the way."""

RETURNABLE: Final = Duration.parse("24h")
"""How long a workspace that left the configuration may come back as if nothing had happened."""

log = structlog.get_logger("tick")


@dataclass(frozen=True, slots=True)
class TickRules:
    """What a tick goes by; what ended longer ago than *keep* is forgotten."""

    policy: IncidentPolicy
    routing: Routing
    view: View
    keep: Duration


class Ticker:
    """Does what is due, one incident at a time."""

    def __init__(
        self,
        *,
        rules: TickRules,
        store: Store,
        metrics: Metrics,
        runtime: Runtime,
    ) -> None:
        self.rules = rules
        self._store = store
        self._metrics = metrics
        self._around = runtime

    async def tick(self) -> bool:
        """Take up what has been due longest, with all that is due in its workspace.

        Return whether there was anything. If one of them makes us fail, each is taken up alone and
        that one is moved out of the way before the error is raised.
        """
        now = self._around.now()
        due = await self._store.run(lambda tx: incidents.due(tx, now, limit=AT_ONCE))
        if not due:
            return False
        try:
            await self._remind(due, now)
        except Exception:  # noqa: BLE001 - raised again by the one that causes it
            log.warning("reminders failed together; each is taken up alone", count=len(due))
            await self._remind_alone(due, now)
        return True

    async def _remind_alone(self, due: Sequence[str], now: Micros) -> None:
        failed: Exception | None = None
        for incident_id in due:
            try:
                await self._remind([incident_id], now)
            except StoreError as error:
                failed = error  # usually not its fault: it is taken up again at once
            except Exception as error:  # noqa: BLE001 - the others get their turn first
                await self._defer(incident_id, now)
                failed = error
        if failed is not None:
            raise failed

    async def _defer(self, incident_id: str, now: Micros) -> None:
        until = now + POISON_PAUSE
        await self._store.run(lambda tx: incidents.postpone(tx, incident_id, now=now, until=until))

    async def _remind(self, due: Sequence[str], now: Micros) -> None:
        events, enqueued = await self._store.run(lambda tx: self._commit(tx, due, now))
        publish(events, enqueued, self._metrics)

    async def note_time(self, good: Mapping[str, Micros], claims: Mapping[str, int]) -> Duration:
        """Write when each workspace was last read well, and follow a clock that went back.

        Return how far it went back. Raise ClaimLostError if another monitor has taken over one of
        our *claims* (their terms by workspace).
        """
        now = self._around.now()

        def write(tx: Connection) -> Duration:
            workspaces.check_terms(tx, claims)
            workspaces.write_liveness(tx, good)
            return clock.set_clock(tx, now)

        step = await self._store.run(write)
        if step:
            log.warning("the clock went back; what is due was brought along", by=str(step))
        return step

    async def unwatch(self) -> bool:
        """End what is open of one workspace that left the configuration for good.

        Return whether there was one. One that makes us fail is moved out of the way before the
        error is raised.
        """
        now = self._around.now()
        name = await self._store.run(lambda tx: workspaces.long_detached(tx, now - RETURNABLE))
        if name is None:
            return False
        try:
            events, enqueued = await self._store.run(lambda tx: self._end(tx, name, now))
        except StoreError:
            raise  # all of it fails, for the moment
        except Exception:
            again = now - RETURNABLE + POISON_PAUSE
            await self._store.run(lambda tx: workspaces.postpone(tx, name, again))
            raise
        publish(events, enqueued, self._metrics)
        return True

    def _end(self, tx: Connection, name: str, now: Micros) -> tuple[Sequence[Event], Enqueued]:
        if workspaces.is_attached(tx, name):  # it has come back this very moment
            return (), Enqueued()
        workspace, term = workspaces.load(tx, name), workspaces.load_term(tx, name)
        rules = self.rules
        decision = unwatch(
            workspace,
            incidents.load_open(tx, workspace.name),
            policy=rules.policy,
            now=now,
            new_id=self._around.new_id,
        )
        workspaces.record(tx, decision, workspace, term)
        enqueued = outbox.enqueue(
            tx,
            decision.events,
            routing=rules.routing,
            accounts=workspace.accounts,
            group_over=rules.policy.group_over,
            now=now,
            new_id=self._around.new_id,
        )
        return decision.events, enqueued

    async def prune(self) -> None:
        """Delete what ended longer ago than the configuration keeps it."""
        before = self._around.now() - self.rules.keep
        await self._store.run(lambda tx: retention.prune(tx, before))

    def _commit(
        self, tx: Connection, due: Sequence[str], now: Micros
    ) -> tuple[list[Event], Enqueued]:
        rules = self.rules
        events: list[Event] = []
        reminded_of: dict[str, Account] = {}
        workspace = ""
        for incident_id in due:
            incident = incidents.load(tx, incident_id)
            if incident is None or incident.next_due_at is None or incident.next_due_at > now:
                continue
            workspace = incident.workspace
            account = accounts.load(tx, workspace, incident.account_id or "")
            reminded, event = remind(
                incident,
                account,
                failing=workspaces.is_failing(tx, workspace),
                current=rules.view.is_current(workspace),
                policy=rules.policy,
                now=now,
                new_id=self._around.new_id,
            )
            incidents.write(tx, [reminded])
            incidents.write_events(tx, [event] if event else [])
            if event is not None:
                events.append(event)
            if account is not None:
                reminded_of[account.id] = account
        enqueued = outbox.enqueue(
            tx,
            events,
            routing=rules.routing,
            accounts=reminded_of,
            group_over=rules.policy.group_over,
            now=now,
            new_id=self._around.new_id,
        )
        return events, enqueued

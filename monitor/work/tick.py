"""What time alone brings: reminders, ends of workspaces that left, the clock, retention."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import structlog
from sqlalchemy import Connection

from monitor import muting
from monitor.core.decide.due import DUE_RECHECK, GATHER_WITHIN, Due, decide_due, unwatch
from monitor.core.draft import Decision
from monitor.core.duration import Duration
from monitor.core.model import ALL_WORKSPACES, Micros, Workspace
from monitor.core.policy import IncidentPolicy
from monitor.core.route import Routing
from monitor.store import accounts, clock, incidents, leases, retention, sessions, workspaces
from monitor.store.db import LeaseLostError, StoreError

from .record import Recorded, Recorder, publish, record

MAX_DUE: Final = 1000
"""How many incidents are decided about in one commit at the most."""

POISON_PAUSE: Final = Duration.parse("1h")
"""How long an incident or a workspace that makes a tick fail is postponed."""

GRACE_PERIOD: Final = Duration.parse("24h")
"""How long a workspace that left the configuration may come back as if nothing had happened."""

log = structlog.get_logger("tick")


@dataclass(frozen=True, slots=True)
class TickRules:
    """The configuration of ticks; what ended longer ago than *keep* is deleted."""

    policy: IncidentPolicy
    routing: Routing
    keep: Duration


@dataclass(slots=True)
class Ticker:
    """Does what time alone brings, one workspace at a time.

    *term_of* returns the term under which a workspace is held, None if it is not at the moment.
    *ended_mutes* counts those that people ended.
    """

    rules: TickRules
    recorder: Recorder
    term_of: Callable[[str], int | None]
    ended_mutes: int = 0
    planned_for: tuple[TickRules, int] | None = None
    _plan: tuple[tuple[TickRules, int], list[tuple[str, list[str]]]] | None = None

    @property
    def has_to_plan(self) -> bool:
        """Whether rules and mutes are others than before, so that something may be due by them."""
        return not self._is_as(self.planned_for)

    def plan_anew(self) -> None:
        """Go through all that is open once more: some of it may have been left out."""
        self.planned_for = self._plan = None

    def _is_as(self, planned_for: tuple[TickRules, int] | None) -> bool:
        if planned_for is None or planned_for[0] is not self.rules:
            return False
        return planned_for[1] == self.ended_mutes

    async def tick(self) -> bool:
        """Do what has been due longest, with all that is due in its workspace.

        Under other rules than before, go through all that is open first. Return whether there was
        something to do, in a workspace that is ours. If that fails, each incident is tried
        alone, and those that still fail are postponed before the error is raised. Raise
        LeaseLostError if another replica has taken over the workspace.
        """
        now = self.recorder.runtime.now()
        due = await self._next_planned() if self.has_to_plan else None
        unmuted = due is not None
        if due is None:
            find = partial(incidents.due, replica=self.recorder.replica, now=now)
            due = await self.recorder.store.read(partial(find, within=GATHER_WITHIN, limit=MAX_DUE))
        if due is None or not self._may_hold(due[0]):
            return False
        try:
            return await self._decide(*due, now, unmuted=unmuted)
        except LeaseLostError:
            raise
        except Exception:  # noqa: BLE001 - raised again by the one that causes it
            log.warning("incidents failed together; each is tried alone", count=len(due[1]))
            await self._decide_alone(*due, now, unmuted=unmuted)
        return True

    async def _next_planned(self) -> tuple[str, Sequence[str]] | None:
        """Return which open incidents are to be decided about next under the present rules."""
        if self._plan is None or not self._is_as(self._plan[0]):
            replica = self.recorder.replica
            ids = await self.recorder.store.read(partial(incidents.load_open_of, replica=replica))
            portions = [
                (name, of_one[at : at + MAX_DUE])
                for name, of_one in ids.items()
                for at in range(0, len(of_one), MAX_DUE)
            ]
            self._plan = (self.rules, self.ended_mutes), portions
        present, left = self._plan
        while left:
            due = left.pop()
            if self._may_hold(due[0]):
                return due
        self.planned_for, self._plan = present, None
        return None

    def _may_hold(self, name: str) -> bool:
        """Return whether a workspace is held, as far as is known; of '*' its commit shows it."""
        return name == ALL_WORKSPACES or self.term_of(name) is not None

    async def _decide_alone(
        self, name: str, due: Sequence[str], now: Micros, *, unmuted: bool
    ) -> None:
        failed: Exception | None = None
        for incident_id in due:
            try:
                await self._decide(name, [incident_id], now, unmuted=unmuted)
            except StoreError as error:
                failed = error  # usually not its fault: it is tried again at once
                if unmuted:
                    self.plan_anew()  # by now it may not be due before that mute would have ended
            except Exception as error:  # noqa: BLE001 - the others get their turn first
                postpone = partial(incidents.postpone, now=now, until=now + POISON_PAUSE)
                await self.recorder.store.run(
                    partial(postpone, incident_id=incident_id), of=(name,)
                )
                failed = error
        if failed is not None:
            raise failed

    async def _decide(self, name: str, due: Sequence[str], now: Micros, *, unmuted: bool) -> bool:
        """Record what is due of incidents; return False if their workspace is not ours."""
        recorded = await self.recorder.store.run(
            lambda tx: self._commit(tx, name, due, now, unmuted=unmuted), of=(name,)
        )
        if recorded is None:
            return False
        publish(recorded, self.recorder)
        return True

    async def note_time(self) -> Duration:
        """Write the time, and follow a clock that went back.

        Return how far it went back. Raise LeaseLostError if this monitor works no more.
        """
        replica, now = self.recorder.replica, self.recorder.runtime.now()
        step = await self.recorder.store.run(lambda tx: clock.set_clock(tx, replica, now), of=())
        if step:
            log.warning("the clock went back; what is due was moved back with it", by=str(step))
        return step

    async def unwatch(self) -> bool:
        """End what is open of one workspace that left the configuration for good.

        Return whether there was one. If it fails, it is postponed before the error is raised.
        """
        store, now = self.recorder.store, self.recorder.runtime.now()
        name = await store.read(lambda tx: workspaces.long_detached(tx, now - GRACE_PERIOD))
        if name is None:
            return False
        try:
            recorded = await store.run(lambda tx: self._end(tx, name, now))
        except StoreError:
            raise  # all of it fails, for the moment
        except Exception:
            again = now - GRACE_PERIOD + POISON_PAUSE
            await store.run(lambda tx: workspaces.postpone(tx, name, again))
            raise
        publish(recorded, self.recorder)
        return True

    def _end(self, tx: Connection, name: str, now: Micros) -> Recorded:
        if workspaces.is_attached(tx, name):  # it has come back this very moment
            return Recorded(Decision())
        workspace, term = workspaces.load(tx, name), workspaces.load_term(tx, name)
        decision = unwatch(
            workspace,
            incidents.load_open(tx, workspace.name),
            sessions.load_all(tx, workspace.name),
            now=now,
            new_id=self.recorder.runtime.new_id,
        )
        return self._record(tx, workspace, decision, now, term)

    async def prune(self) -> bool:
        """Delete some of what ended longer ago than the configuration keeps it.

        Return whether there may be more.
        """
        before = self.recorder.runtime.now() - self.rules.keep
        return await self.recorder.store.run(lambda tx: retention.prune(tx, before), of=())

    def _commit(
        self, tx: Connection, name: str, due: Sequence[str], now: Micros, *, unmuted: bool
    ) -> Recorded | None:
        items = [
            Due(incident, accounts.load(tx, incident.workspace, incident.account_id))
            for incident_id in due
            if (incident := incidents.load(tx, incident_id)) and incident.is_open
        ]
        if not items:
            return Recorded(Decision())
        term = self._load_term(tx, name)
        if term is None:
            return None
        decision = decide_due(
            name,
            items,
            failing=workspaces.is_failing(tx, name),
            current=workspaces.is_fresh(tx, name, now),
            policy=self.rules.policy,
            routing=self.rules.routing,
            mutes=muting.active(tx, self.rules.routing, now),
            unmuted=unmuted,
            now=now,
            new_id=self.recorder.runtime.new_id,
        )
        before = {item.account.id: item.account for item in items if item.account}
        return self._record(tx, Workspace(name, accounts=before), decision, now, term)

    def _load_term(self, tx: Connection, name: str) -> int | None:
        """Return the term under which a workspace is held; None if it is not.

        Of '*', on which nobody works, the holder is the one that is recorded.
        """
        if name != ALL_WORKSPACES:
            return self.term_of(name)
        is_ours = leases.holder(tx, name) == self.recorder.replica
        return workspaces.load_term(tx, name) if is_ours else None

    def _record(
        self,
        tx: Connection,
        before: Workspace,
        decision: Decision,
        now: Micros,
        term: int | None,
    ) -> Recorded:
        return record(
            tx,
            before,
            decision,
            policy=self.rules.policy,
            routing=self.rules.routing,
            now=now,
            new_id=self.recorder.runtime.new_id,
            term=term,
            recheck_at=now + DUE_RECHECK,
        )

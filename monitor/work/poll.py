"""One poll of one workspace: fetch, diff, decide, and record everything in one transaction."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import structlog
from sqlalchemy import Connection

from monitor.core.backoff import poll_backoff
from monitor.core.decide import decide
from monitor.core.decide.accounts import is_quiet
from monitor.core.diff import Changes, diff
from monitor.core.draft import Decision
from monitor.core.duration import Duration
from monitor.core.fingerprint import make_fingerprint
from monitor.core.model import (
    Failure,
    Fingerprint,
    ListedAccount,
    Micros,
    Skipped,
    Snapshot,
    Workspace,
)
from monitor.core.policy import IncidentPolicy
from monitor.core.route import Routing
from monitor.source.client import LinkedApi
from monitor.store import incidents, workspaces

from .record import Recorded, Recorder, publish, record

STALE: Final = Duration.parse("2m")
"""How long after the next but one poll was due a look at a workspace counts as a recent one."""

ACCEPTED_FOR: Final = Duration.parse("1h")
"""How long a list that a person accepted is waited for."""

log = structlog.get_logger("poll")


@dataclass(frozen=True, slots=True)
class PollRules:
    """The configuration of one workspace's polls; *next_due* returns when the next one is due."""

    policy: IncidentPolicy
    routing: Routing
    next_due: Callable[[Micros], Micros]
    create: bool
    cooldown: Duration


def commit(
    tx: Connection,
    workspace: Workspace,
    changes: Changes | Failure,
    *,
    term: int,
    rules: PollRules,
    scheduled: bool,
    now: Micros,
    new_id: Callable[[], str],
) -> Recorded:
    """Decide what a poll means and write all of it in the transaction *tx*.

    Raise LeaseLostError if the claim *term* is not the latest.
    """
    accepted_by = None
    if isinstance(changes, Changes) and changes.strange:
        since = now - ACCEPTED_FOR
        accepted_by = workspaces.take_acceptance(tx, workspace.name, changes.strange, since)
    decision = decide(
        workspace,
        changes,
        incidents.load_open(tx, workspace.name),
        policy=rules.policy,
        create=rules.create,
        scheduled=scheduled,
        now=now,
        new_id=new_id,
        accepted_by=accepted_by,
    )
    return record(
        tx,
        workspace,
        decision,
        routing=rules.routing,
        group_over=rules.policy.group_over,
        now=now,
        new_id=new_id,
        term=term,
        cooldown=rules.cooldown,
    )


class Poller:
    """Polls one workspace. Only the holder of the latest claim (*term*) may record anything."""

    def __init__(
        self,
        workspace: Workspace,
        term: int,
        *,
        rules: PollRules,
        source: LinkedApi,
        recorder: Recorder,
    ) -> None:
        self.name = workspace.name
        self.rules = rules
        self._workspace: Workspace | None = workspace
        self.term = term
        self._quiet: dict[str, ListedAccount] = {}
        self._warned: frozenset[str] = frozenset()
        self._fingerprint: tuple[object, Fingerprint] | None = None
        self._source = source
        self._recorder = recorder
        self._store = recorder.store
        self._metrics = recorder.metrics
        self._runtime = recorder.runtime
        self._failed_polls = 0
        self._paused_until = 0.0
        self._repeat_at: float | None = None
        self._good_at: Micros | None = None
        self._fresh_until: Micros = 0
        self._blind_since: Micros | None = None

    async def poll(self, *, scheduled: bool = True) -> Decision | None:
        """Poll once and record what it means; return the decision, or None if there is no news.

        Return None without a call too while polls are paused (a rejected token, a rate limit) or
        our own share of the rate limit is used up.
        Raise StoreError if it could not be recorded (nothing was, then), LeaseLostError if another
        monitor has taken over.
        """
        workspace = await self._load()
        if self._runtime.monotonic() < self._paused_until and not self._source.token.changed():
            self._mark_fresh()  # it fails, and that is known
            return await self._record_blindness(workspace)
        started = self._runtime.monotonic()
        source = self._source
        observation = await source.get_all()
        if isinstance(observation, Skipped):
            self._put_off(observation.retry_after)
            return None
        took = self._runtime.monotonic() - started
        changes = self._compare(workspace, observation)
        decision = None
        if changes or workspace.failing is not None or workspace.baseline_at is None:
            decision = await self._record(workspace, observation, changes, scheduled=scheduled)
        else:
            self._note_good()
        failing = decision and decision.workspace and decision.workspace.failing
        self._metrics.polled(self.name, failing.cause if failing else "ok", took)
        self._mark_fresh()
        if source is self._source:  # else another token may be accepted
            self._back_off(observation)
        return decision

    def repeat_in(self) -> float | None:
        """Return in how many seconds to poll though no poll is due, because the latest one failed.

        That is also when a failing workspace whose polls are paused is long blind.
        """
        if self._repeat_at is None:
            return None
        wait = self._repeat_at - self._runtime.monotonic()
        failing = self._workspace.failing if self._workspace else None
        if failing is not None:
            blind_at = failing.since + self.rules.policy.blind_after
            if (blind_in := blind_at - self._runtime.now()) > 0:
                wait = min(wait, Duration(blind_in).seconds)
        return max(wait, 0.0)

    async def _record_blindness(self, workspace: Workspace) -> Decision | None:
        """Record what time alone makes of a failing workspace while its polls are paused."""
        failing = workspace.failing
        if failing is None or self._blind_since == failing.since:
            return None
        if self._runtime.now() - failing.since < self.rules.policy.blind_after:
            return None
        failure = Failure(failing.cause, failing.detail)
        decision = await self._record(workspace, failure, failure, scheduled=False)
        self._blind_since = failing.since
        return decision

    def is_current(self) -> bool:
        """Return whether the workspace has been polled lately (its failing is known, too).

        Right after a start, or after the host slept, nothing that is recorded may still hold.
        """
        return self._runtime.now() <= self._fresh_until

    def invalidate(self) -> None:
        """Read the recorded state again before the next poll: something else has written it."""
        self._workspace = None

    def resume(self, workspace: Workspace, term: int) -> None:
        """Continue from what is recorded, under another claim."""
        self._workspace, self.term = workspace, term
        self._quiet = {}

    def reconfigure(self, rules: PollRules, source: LinkedApi) -> None:
        """Use another configuration from now on, and compare every account anew."""
        if source is not self._source:
            self._failed_polls, self._paused_until = 0, 0.0  # another token may be accepted
        self.rules, self._source = rules, source
        self._quiet = {}

    def take_good_at(self) -> Micros | None:
        """Return when the workspace was last read well, if that is news since the last call."""
        good_at, self._good_at = self._good_at, None
        return good_at

    async def _load(self) -> Workspace:
        if self._workspace is None:
            self._workspace = await self._store.run(lambda tx: workspaces.load(tx, self.name))
            self._quiet = {}
        return self._workspace

    def _compare(self, workspace: Workspace, observation: Snapshot | Failure) -> Changes | Failure:
        if isinstance(observation, Failure):
            return observation
        warnings = frozenset(observation.warnings)
        for warning in sorted(warnings - self._warned):
            log.warning("odd account list", workspace=self.name, what=warning)
        self._warned = warnings
        inventory = self.rules.routing.inventory
        changes = diff(
            workspace,
            observation,
            self._quiet,
            lambda account: inventory.ignores(self.name, account),
        )
        fingerprint = self._identify(workspace.fingerprint, changes)
        is_new = fingerprint != workspace.fingerprint
        return replace(changes, fingerprint=fingerprint) if is_new else changes

    def _identify(self, before: Fingerprint | None, changes: Changes) -> Fingerprint:
        """Return by what the list is known again; hashes are made anew only for something new."""
        salt = before.salt if before else self._runtime.new_id()
        made_of = (salt, self._source.token.last(), changes.ignored)
        if self._fingerprint is None or self._fingerprint[0] != made_of:
            self._fingerprint = made_of, make_fingerprint(*made_of)
        return self._fingerprint[1]

    def _mark_fresh(self) -> None:
        next_due = self.rules.next_due
        self._fresh_until = next_due(next_due(self._runtime.now())) + STALE

    def _note_good(self) -> None:
        self._good_at = self._runtime.now()
        self._metrics.poll_succeeded(self.name, self._good_at)

    async def _record(
        self,
        workspace: Workspace,
        observation: Snapshot | Failure,
        changes: Changes | Failure,
        *,
        scheduled: bool,
    ) -> Decision:
        now, rules = self._runtime.now(), self.rules
        self._workspace = None  # until the commit is known to have happened
        recorded = await self._store.run(
            lambda tx: commit(
                tx,
                workspace,
                changes,
                term=self.term,
                rules=rules,
                scheduled=scheduled,
                now=now,
                new_id=self._runtime.new_id,
            )
        )
        after = recorded.decision.workspace
        assert after is not None
        self._workspace = after
        if isinstance(observation, Snapshot) and after.failing is None:
            if rules is self.rules:  # else the next poll compares every account anew
                self._quiet = {
                    listed.id: listed
                    for listed in observation.accounts
                    if (account := after.accounts.get(listed.id))
                    and is_quiet(account, rules.policy, create=rules.create)
                }
            self._note_good()
        publish(recorded, self._recorder)
        _log_edges(workspace, after)
        return recorded.decision

    def _back_off(self, observation: Snapshot | Failure) -> None:
        failing = self._workspace.failing if self._workspace else None
        if failing is None:
            self._failed_polls, self._repeat_at = 0, None
            return
        self._failed_polls += 1
        if isinstance(observation, Snapshot):
            observation = Failure(failing.cause, failing.detail)
        now, monotonic = self._runtime.now(), self._runtime.monotonic()
        backoff = poll_backoff(
            observation,
            self._failed_polls,
            every=Duration(self.rules.next_due(now) - now),
            jitter=self._runtime.jitter(),
        )
        self._paused_until = monotonic + backoff.pause.seconds
        self._repeat_at = monotonic + backoff.repeat.seconds if backoff.repeat else None

    def _put_off(self, wait: Duration) -> None:
        """Repeat a failed poll later than planned."""
        if self._repeat_at is not None:
            self._repeat_at = self._runtime.monotonic() + wait.seconds


def _log_edges(before: Workspace, after: Workspace) -> None:
    if after.failing and (not before.failing or before.failing.cause is not after.failing.cause):
        log.warning(
            "workspace can't be read",
            workspace=after.name,
            cause=after.failing.cause,
            detail=after.failing.detail,
        )
    elif before.failing and not after.failing:
        log.info("workspace is read again", workspace=after.name)
    if before.baseline_at is None and after.baseline_at is not None:
        log.info("first look at workspace", workspace=after.name, accounts=len(after.accounts))

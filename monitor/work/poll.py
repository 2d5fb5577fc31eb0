"""One poll of one workspace: fetch, diff, decide, and record everything in one transaction."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import structlog
from sqlalchemy import Connection

from monitor.core.backoff import poll_backoff
from monitor.core.decide import decide
from monitor.core.decide.accounts import is_quiet
from monitor.core.decide.blindness import is_quiet as is_quiet_failure
from monitor.core.decide.blindness import why_blind
from monitor.core.decide.outage import AFTERMATH, CAUSES
from monitor.core.decide.subscription import freezes_or_thaws
from monitor.core.diff import NOBODY, NOTHING_QUIET, Changes, Quiet, diff
from monitor.core.draft import Decision
from monitor.core.duration import Duration
from monitor.core.fingerprint import make_fingerprint
from monitor.core.model import (
    ALL_WORKSPACES,
    BLIND_CAUSES,
    READING,
    Cause,
    Failure,
    FailureStreak,
    Fingerprint,
    Liveness,
    Micros,
    Skipped,
    Snapshot,
    Workspace,
)
from monitor.core.policy import REFRESH_AFTER, IncidentPolicy
from monitor.core.route import Routing
from monitor.core.subscription import Subscription
from monitor.source.client import LinkedApi
from monitor.store import incidents, locks, looks, outside, sessions, workspaces
from monitor.store.db import StoreError

from .liveness import STALE, record_look
from .record import Recorded, Recorder, publish, record
from .subscription import SubscriptionCheck

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
    refresh_after: Duration = REFRESH_AFTER

    def liveness(self, name: str, term: int, now: Micros) -> Liveness:
        """Return what a good poll of the workspace *name* says that is just over."""
        return Liveness(name, term, now, self.next_due(self.next_due(now)) + STALE)


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
    looked_at: Micros | None = None,
    subscription: Subscription | None = None,
    asks_subscription: bool = False,
) -> Recorded:
    """Decide what a poll means and write all of it in the transaction *tx*.

    What it saw happens *now*: what left before told nobody of it; it is as old as the list, which
    came when it *looked_at* the workspace (None: now). *subscription* is what was asked for it, and
    is asked as a rule where one *asks_subscription*.
    Raise LeaseLostError if *term* is not the latest.
    """
    accepted_by = None
    if isinstance(changes, Changes) and changes.strange:
        since = now - ACCEPTED_FOR
        accepted_by = workspaces.take_acceptance(tx, workspace.name, changes.strange, since)
    open_incidents = incidents.load_open(tx, workspace.name)
    of_all = incidents.load_open(tx, ALL_WORKSPACES)
    is_blind = workspace.failing and why_blind(workspace.failing, rules.policy, now)
    others = None
    if of_all or (is_blind and READING not in open_incidents):
        locks.lock(tx, ALL_WORKSPACES)  # others may be about to record the same outage
        of_all = incidents.load_open(tx, ALL_WORKSPACES)
        others = workspaces.load_others(tx, workspace.name)
    open_incidents |= of_all
    decision = decide(
        workspace,
        changes,
        open_incidents,
        sessions.load_all(tx, workspace.name),
        policy=rules.policy,
        inventory=rules.routing.inventory,
        create=rules.create,
        scheduled=scheduled,
        refresh_after=rules.refresh_after,
        now=now,
        new_id=new_id,
        accepted_by=accepted_by,
        others=others,
        subscription=subscription,
        asks_subscription=asks_subscription,
    )
    recorded = record(
        tx,
        workspace,
        decision,
        policy=rules.policy,
        routing=rules.routing,
        now=now,
        new_id=new_id,
        term=term,
        cooldown=rules.cooldown,
    )
    failing = decision.workspace and decision.workspace.failing
    if failing:
        receivers = looks.release_failed(tx, workspace.name, now=now)
        if failing.cause in CAUSES and (of_outage := looks.release(tx, ALL_WORKSPACES, now=now)):
            receivers |= of_outage
            outside.note(tx)  # another replica may hold it
    else:
        receivers = record_look(
            tx,
            rules.liveness(workspace.name, term, now if looked_at is None else looked_at),
            now=now,
        )
    return replace(recorded, receivers=recorded.receivers | receivers)


class Poller:
    """Polls one workspace. Only who holds it under the latest *term* may record anything.

    *unwritten* is what the latest good poll says of the workspace's liveness, until it is written.
    *has_intents* says that sessions may have to be asked for or about, until whoever does so sets
    it back. *subscription* asks how the workspace is paid for (None: nobody does).
    """

    def __init__(
        self,
        workspace: Workspace,
        term: int,
        *,
        rules: PollRules,
        source: LinkedApi,
        recorder: Recorder,
        subscription: SubscriptionCheck | None = None,
    ) -> None:
        self.name = workspace.name
        self.subscription = subscription
        self.rules = rules
        self._workspace: Workspace | None = workspace
        self._version = workspace.version  # the latest that there is, as far as is known
        self.term = term
        self._quiet = NOTHING_QUIET
        self._warned: tuple[str, ...] = ()
        self._fingerprint: tuple[object, Fingerprint] | None = None
        self._source = source
        self._recorder = recorder
        self._store = recorder.store
        self._metrics = recorder.metrics
        self._runtime = recorder.runtime
        self._failed_polls = 0
        self._paused_until = 0.0
        self._repeat_at: float | None = None
        self.unwritten: Liveness | None = None
        self._fresh_until: Micros = 0  # as it is written
        self._has_polled = False  # in this term, under these rules
        self._blind_cause: Cause | None = None  # of the open incident, as far as is known
        self._held_until = 0.0
        self.has_intents = True  # others may have left some

    async def poll(self, *, scheduled: bool = True) -> Decision | None:
        """Poll once and record what it means; return the decision, or None if there is no news.

        Return None without a call too while polls are paused (a rejected token, a rate limit) or
        our own share of the rate limit is used up.
        Raise StoreError if it could not be recorded (nothing was, then), LeaseLostError if another
        replica has taken over.
        """
        workspace = await self._load()
        if self._runtime.monotonic() < self._paused_until and not self._source.token.changed():
            return await self._record_blindness(workspace)
        started = self._runtime.monotonic()
        source = self._source
        observation = await source.get_all()
        if isinstance(observation, Skipped):
            self._put_off(observation.retry_after)
            return None
        took = self._runtime.monotonic() - started
        changes, decision = self._compare(workspace, observation), None
        subscription = await self._ask_subscription(workspace, changes)
        while decision is None:
            if self._is_quiet(workspace, changes):
                if isinstance(changes, Changes):
                    await self._mark_looked()
                break
            decision = await self._record(
                workspace, observation, changes, scheduled=scheduled, subscription=subscription
            )
            if decision is None:
                workspace = await self._load()
                changes = self._compare(workspace, observation)
        failing = (await self._load()).failing
        if failing is None:
            self._metrics.poll_succeeded(self.name, self._runtime.now())
        self._metrics.polled(self.name, failing.cause if failing else "ok", took)
        if source is self._source:  # else another token may be accepted
            self._back_off(observation, failing)
        return decision

    async def _ask_subscription(
        self, workspace: Workspace, changes: Changes | Failure
    ) -> Subscription | None:
        """Ask about the subscription if accounts freeze or thaw, or if it was refused."""
        if self.subscription is None or isinstance(changes, Failure) or changes.strange:
            return None
        was_refused = workspace.failing and workspace.failing.cause is Cause.SUBSCRIPTION
        if was_refused or any(freezes_or_thaws(workspace, listed) for listed in changes.listed):
            return await self.subscription.ask()
        return None

    async def check_subscription(self) -> Decision | None:
        """Ask about the subscription if that is due, of a workspace that could be read."""
        workspace = self._workspace
        if self.subscription is None or not self.subscription.is_due or workspace is None:
            return None
        if workspace.failing is not None or workspace.baseline_at is None:
            return None
        return await self.subscription.check(workspace)

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
        if failing is None or self._told_cause(failing) is not None:
            return None
        if why_blind(failing, self.rules.policy, self._runtime.now()) is None:
            return None
        failure = Failure(failing.cause, failing.detail)
        return await self._record(workspace, failure, failure, scheduled=False)

    def _is_quiet(self, workspace: Workspace, changes: Changes | Failure) -> bool:
        """Return whether recording this would change nothing."""
        failing = workspace.failing
        if not self._has_polled:  # an outage may have ended with workspaces that left
            return False
        if isinstance(changes, Changes):
            return not changes and failing is None and workspace.baseline_at is not None
        if failing is None:
            return False
        policy, now = self.rules.policy, self._runtime.now()
        cause = self._told_cause(failing)
        return is_quiet_failure(failing, changes, cause, policy=policy, now=now)

    def _told_cause(self, failing: FailureStreak) -> Cause | None:
        """Return of which cause there is an incident: an outage stands for its own."""
        is_held = self._runtime.monotonic() < self._held_until
        return failing.cause if is_held else self._blind_cause

    def forget_look(self) -> None:
        """Let nothing that is recorded count as known until the next poll."""
        good_at = self.unwritten.last_good_at if self.unwritten else None
        self.unwritten = Liveness(self.name, self.term, good_at, None)
        self._fresh_until, self._has_polled = 0, False

    def mark_written(self, liveness: Liveness) -> None:
        """Note that *liveness* has been committed."""
        self._fresh_until = liveness.fresh_until or 0
        if liveness.fresh_until is None:
            self._has_polled = False  # since everything was held: a failure, too, lets go
        if self.unwritten is liveness:
            self.unwritten = None

    def compare_anew(self) -> None:
        """Look at every account again with the next poll, whether or not the list says news."""
        self._quiet = NOTHING_QUIET

    def expect(self, version: int) -> bool:
        """Go by what others recorded as *version* of the accounts; return whether that is news."""
        is_news = version > self._version
        self._version = max(version, self._version)
        return is_news

    def reconfigure(self, rules: PollRules, source: LinkedApi) -> None:
        """Use another configuration from now on, and record the next poll, news or not."""
        if source is not self._source:
            self._failed_polls, self._paused_until = 0, 0.0  # another token may be accepted
        self.rules, self._source = rules, source
        self._quiet, self._has_polled = NOTHING_QUIET, False

    async def _load(self) -> Workspace:
        if self._workspace is None or self._workspace.version < self._version:
            self._workspace = await self._store.run(
                lambda tx: workspaces.load(tx, self.name), of=(self.name,)
            )
            self._version, self._quiet = self._workspace.version, NOTHING_QUIET
        return self._workspace

    def _compare(self, workspace: Workspace, observation: Snapshot | Failure) -> Changes | Failure:
        if isinstance(observation, Failure):
            return observation
        for warning in observation.warnings:
            if warning not in self._warned:
                log.warning("odd account list", workspace=self.name, what=warning)
        self._warned = observation.warnings
        inventory = self.rules.routing.inventory
        rules = inventory.key(self.name)
        changes = diff(
            workspace,
            observation,
            self._quiet,
            lambda account: inventory.ignores(self.name, account),
            rules,
        )
        fingerprint = self._identify(workspace.fingerprint, changes, rules)
        is_new = fingerprint != workspace.fingerprint
        return replace(changes, fingerprint=fingerprint) if is_new else changes

    def _identify(self, before: Fingerprint | None, changes: Changes, rules: str) -> Fingerprint:
        """Return by what the list is known again; hashes are made anew only for something new."""
        salt = before.salt if before else self._runtime.new_id()
        made_of = (salt, self._source.token.last(), changes.ignored, rules)
        if self._fingerprint is None or self._fingerprint[0] != made_of:
            self._fingerprint = made_of, make_fingerprint(*made_of)
        return self._fingerprint[1]

    async def _mark_looked(self) -> None:
        """Write that the workspace was read: at once if that is news, else in the next batch."""
        now = self._runtime.now()
        self.unwritten = liveness = self.rules.liveness(self.name, self.term, now)
        if self._fresh_until < now:
            receivers = await self._store.run(
                lambda tx: record_look(tx, liveness, now=now), of=(self.name,)
            )
            self.mark_written(liveness)
            self._recorder.wake(receivers)

    async def _record(
        self,
        workspace: Workspace,
        observation: Snapshot | Failure,
        changes: Changes | Failure,
        *,
        scheduled: bool,
        subscription: Subscription | None = None,
    ) -> Decision | None:
        """Record what a poll means, or nothing if others have changed the accounts since."""
        asks = self.subscription is not None and self.subscription.every is not None
        looked_at, rules = self._runtime.now(), self.rules
        self._workspace, self._blind_cause = None, None  # until it is known to be committed
        unwritten = self._take_unwritten()

        def work(tx: Connection) -> Recorded | None:
            if workspaces.load_version(tx, self.name) != workspace.version:
                return None
            return commit(
                tx,
                workspace,
                changes,
                term=self.term,
                rules=rules,
                scheduled=scheduled,
                now=self._runtime.now(),
                new_id=self._runtime.new_id,
                looked_at=looked_at,
                subscription=subscription,
                asks_subscription=asks,
            )

        after = None
        try:
            recorded = await self._store.run(work, of=(self.name,))
            after = recorded.decision.workspace if recorded else None
        except StoreError:
            self.has_intents = True  # it may have been committed
            if self.subscription is not None:
                self.subscription.conditions = None
            raise
        finally:
            if after is None or after.failing is not None:
                self.unwritten = self.unwritten or unwritten
        if recorded is None or after is None:
            return None
        self.has_intents |= recorded.has_intents
        if self.subscription is not None:
            self.subscription.note(recorded.decision)
        self._workspace = after
        self._blind_cause = next(
            (cause for cause in recorded.open_incidents if cause in BLIND_CAUSES), None
        )
        self._hold(after.failing)
        self._has_polled = True
        if isinstance(observation, Snapshot) and after.failing is None:
            self._fresh_until = rules.liveness(self.name, self.term, looked_at).fresh_until or 0
            if rules is self.rules:  # else the next poll compares every account anew
                self._quiet = self._quiet_of(observation, after, recorded.decision)
        publish(recorded, self._recorder)
        _log_edges(workspace, after)
        return recorded.decision

    def _quiet_of(self, snapshot: Snapshot, after: Workspace, decision: Decision) -> Quiet:
        """Return which of the accounts in *snapshot* a poll that shows the same need not look at.

        Those that are not watched need a look, and those with something pending.
        """
        accounts, policy = after.accounts, self.rules.policy
        wanted = {incident.subject for incident in decision.wanted}
        others = [
            listed.id
            for listed in snapshot.accounts
            if listed.id in wanted
            or not ((account := accounts.get(listed.id)) and is_quiet(account, policy))
        ]
        return Quiet(snapshot, frozenset(others) or NOBODY)

    def _take_unwritten(self) -> Liveness | None:
        """Return what is not written yet; a batch would write it after the commit of a look."""
        unwritten, self.unwritten = self.unwritten, None
        return unwritten

    def _hold(self, failing: FailureStreak | None) -> None:
        """Look again in a while if a blind workspace has no incident: there is an outage."""
        is_held = (
            failing is not None
            and failing.cause in CAUSES
            and self._blind_cause is None
            and why_blind(failing, self.rules.policy, self._runtime.now())
        )
        self._held_until = self._runtime.monotonic() + AFTERMATH.seconds if is_held else 0.0

    def _back_off(self, observation: Snapshot | Failure, failing: FailureStreak | None) -> None:
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

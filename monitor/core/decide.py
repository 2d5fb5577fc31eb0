"""The decisions: what one observation, or time alone, does to accounts and incidents.

    HEALTHY ──bad──► SUSPECT ──bad, open_after polls──► OPEN ──good, resolve_after polls──► HEALTHY
       ▲                │                               │  ▲ │
       └─────good───────┘ (nobody was told)             │  └─┘ another cause: "changed"
                                                        └─ gone for missing_after polls, or
                                                           left the configuration: resolved

Rules:
1. Everything that opens, changes or ends an incident is in this file.
2. Functions here take values and return values; time and new ids are arguments.
3. Only scheduled polls count: any other may raise a count from 0 to 1 and no further.
4. A failed poll says nothing about accounts.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from .diff import Changes
from .duration import Duration
from .model import (
    Account,
    Cause,
    Event,
    EventType,
    Failure,
    FailureStreak,
    Incident,
    ListedAccount,
    Micros,
    Resolution,
    Scope,
    Session,
    Status,
    Transition,
    Workspace,
)
from .policy import IncidentPolicy
from .profile import profile_key

REMINDER_RECHECK = Duration.parse("30s")


class AccountState(StrEnum):
    """Where an account stands."""

    HEALTHY = "healthy"
    SUSPECT = "suspect"
    OPEN = "open"


class Input(StrEnum):
    """What a good poll saw of an account that it listed."""

    GOOD = "good"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Decision:
    """What to record, all at once: rows to write, and the workspace's state after it.

    *wanted* are the accounts that need a login and have no link; *baseline* says that this was the
    first good poll of the workspace.
    """

    workspace: Workspace
    accounts: tuple[Account, ...] = ()
    incidents: tuple[Incident, ...] = ()
    events: tuple[Event, ...] = ()
    transitions: tuple[Transition, ...] = ()
    wanted: tuple[str, ...] = ()
    baseline: bool = False


@dataclass(slots=True)
class _Draft:
    """A decision in the making."""

    workspace: Workspace
    policy: IncidentPolicy
    now: Micros
    scheduled: bool
    new_id: Callable[[], str]
    accounts: dict[str, Account] = field(default_factory=dict)
    incidents: dict[str, Incident] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    transitions: list[Transition] = field(default_factory=list)

    def count(self, so_far: int) -> int:
        return so_far + 1 if self.scheduled or so_far == 0 else so_far

    def emit(self, kind: EventType, incident: Incident, detail: str = "") -> None:
        self.incidents[incident.id] = incident
        self.events.append(
            Event(
                id=self.new_id(),
                type=kind,
                at=self.now,
                workspace=incident.workspace,
                account_id=incident.account_id,
                incident_id=incident.id,
                cause=incident.cause,
                detail=detail,
            )
        )

    def open(self, cause: Cause, account: Account | None, since: Micros, detail: str = "") -> str:
        incident = Incident(
            id=self.new_id(),
            workspace=self.workspace.name,
            scope=Scope.ACCOUNT if account else Scope.WORKSPACE,
            account_id=account.id if account else None,
            cause=cause,
            opened_at=since,
            status=account.status if account else None,
            raw_status=account.raw_status if account else None,
            detail=detail,
            next_due_at=next_reminder(0, self.policy, self.now),
        )
        self.emit(EventType.OPENED, incident, detail)
        return incident.id

    def change(self, incident: Incident, cause: Cause, detail: str = "") -> None:
        changed = replace(
            incident,
            cause=cause,
            previous_cause=incident.cause,
            detail=detail,
            acknowledged_by=None,
            acknowledged_at=None,
            next_due_at=next_reminder(incident.reminders, self.policy, self.now),
        )
        self.emit(EventType.CHANGED, changed, detail)

    def resolve(self, incident: Incident, resolution: Resolution, detail: str = "") -> None:
        ended = replace(
            incident,
            resolved_at=max(self.now, incident.opened_at),
            resolution=resolution,
            next_due_at=None,
        )
        self.emit(EventType.RESOLVED, ended, detail)


def next_reminder(sent: int, policy: IncidentPolicy, now: Micros) -> Micros | None:
    """Return when reminder number *sent* + 1 is due, or None if there is none to come."""
    if not policy.remind or sent >= policy.remind_max:
        return None
    return now + policy.remind[min(sent, len(policy.remind) - 1)]


def is_quiet(account: Account, policy: IncidentPolicy, *, create: bool) -> bool:
    """Return whether seeing the same again would change nothing about *account*."""
    waits_for_link = (
        create and account.status is Status.RECONNECTION_REQUIRED and not has_link(account.session)
    )
    return (
        not (account.bad_polls or account.good_polls or account.missing_polls)
        and len(account.changes) < policy.flapping.changes
        and not waits_for_link
    )


def has_link(session: Session | None) -> bool:
    """Return whether there is a link that somebody could open."""
    return session is not None and session.link is not None


def decide(
    workspace: Workspace,
    observation: Changes | Failure,
    incidents: Mapping[str, Incident],
    *,
    policy: IncidentPolicy,
    create: bool,
    scheduled: bool,
    now: Micros,
    new_id: Callable[[], str],
) -> Decision:
    """Decide what one poll of *workspace* means.

    *incidents* are the open ones of the workspace by id, *create* says whether a missing link is to
    be asked for, *scheduled* whether the schedule caused this poll.
    """
    draft = _Draft(workspace, policy, now, scheduled, new_id, incidents=dict(incidents))
    if isinstance(observation, Failure):
        after = _observe_failure(draft, observation)
    else:
        after = _recover_workspace(draft)
        for listed in observation.listed:
            _observe(draft, workspace.accounts.get(listed.id), listed)
        _note_missing(draft, observation.missing)
        _unwatch(draft, observation.unwatched)
        after = replace(after, accounts=_accounts_after(draft))
    return Decision(
        workspace=after,
        accounts=tuple(
            one for one in draft.accounts.values() if workspace.accounts.get(one.id) != one
        ),
        incidents=tuple(one for one in draft.incidents.values() if incidents.get(one.id) != one),
        events=tuple(draft.events),
        transitions=tuple(draft.transitions),
        wanted=tuple(
            one.id
            for one in draft.accounts.values()
            if create
            and one.incident_id
            and one.status is Status.RECONNECTION_REQUIRED
            and not has_link(one.session)
        ),
        baseline=workspace.baseline_at is None and after.baseline_at is not None,
    )


def remind(
    incident: Incident,
    account: Account | None,
    *,
    failing: bool,
    current: bool,
    policy: IncidentPolicy,
    now: Micros,
    new_id: Callable[[], str],
) -> tuple[Incident, Event | None]:
    """Decide what a due reminder of *incident* comes to.

    It is held while nobody knows how things are: the workspace is not *current* (looked at lately),
    or, for an account, it is *failing*, or the account is missing or seems recovered. Overdue
    reminders collapse to one.
    """
    if not incident.is_open or incident.acknowledged_at is not None:
        return replace(incident, next_due_at=None), None
    uncertain = account is not None and (
        failing
        or account.missing_polls > 0
        or (account.status is Status.ACTIVE and incident.cause is not Cause.FLAPPING)
    )
    if uncertain or not current:
        return replace(incident, next_due_at=now + REMINDER_RECHECK), None
    if incident.reminders >= policy.remind_max or not policy.remind:
        return replace(incident, next_due_at=None), None
    sent = incident.reminders + 1
    reminded = replace(incident, reminders=sent, next_due_at=next_reminder(sent, policy, now))
    draft = _Draft(Workspace(incident.workspace), policy, now, scheduled=True, new_id=new_id)
    draft.emit(EventType.REMINDED, reminded, incident.detail)
    return reminded, draft.events[0]


def unwatch(
    workspace: Workspace,
    incidents: Mapping[str, Incident],
    *,
    policy: IncidentPolicy,
    now: Micros,
    new_id: Callable[[], str],
) -> Decision:
    """Decide what it means that *workspace*, with its open *incidents*, is watched no more.

    Everything ends; should it come back one day, it is looked at as if for the first time.
    """
    draft = _Draft(workspace, policy, now, scheduled=True, new_id=new_id, incidents=dict(incidents))
    _unwatch(draft, tuple(workspace.accounts.values()))
    for incident in tuple(draft.incidents.values()):
        if incident.is_open:
            draft.resolve(incident, Resolution.UNWATCHED)
    return Decision(
        workspace=Workspace(workspace.name),
        accounts=tuple(draft.accounts.values()),
        incidents=tuple(draft.incidents.values()),
        events=tuple(draft.events),
    )


# ── a failed poll ────────────────────────────────────────────────────────────────────────────────


def _observe_failure(draft: _Draft, failure: Failure) -> Workspace:
    before, now = draft.workspace.failing, draft.now
    same = before is not None and before.cause is failure.cause
    failing = FailureStreak(
        cause=failure.cause,
        detail=failure.detail,
        since=min(before.since, now) if before else now,
        cause_polls=draft.count(before.cause_polls if before and same else 0),
    )
    workspace = replace(draft.workspace, failing=failing)
    incident = draft.incidents.get(draft.workspace.incident_id or "")
    if incident is None:
        rejected = failure.cause is Cause.TOKEN_REJECTED and failing.cause_polls >= 2
        if rejected or now - failing.since >= draft.policy.blind_after:
            opened = draft.open(failure.cause, None, failing.since, failure.detail)
            workspace = replace(workspace, incident_id=opened)
    elif incident.cause is not failure.cause and failing.cause_polls >= 2:
        draft.change(incident, failure.cause, failure.detail)
    return workspace


def _recover_workspace(draft: _Draft) -> Workspace:
    incident = draft.incidents.get(draft.workspace.incident_id or "")
    if incident is not None:
        draft.resolve(incident, Resolution.RECOVERED)
    return replace(
        draft.workspace,
        failing=None,
        incident_id=None,
        last_good_at=draft.now,
        baseline_at=draft.workspace.baseline_at
        if draft.workspace.baseline_at is not None
        else draft.now,
    )


# ── a good poll: accounts in the list ────────────────────────────────────────────────────────────


def _observe(draft: _Draft, before: Account | None, listed: ListedAccount) -> None:
    account = _merge(draft, before, listed)
    input_ = Input.GOOD if listed.status is Status.ACTIVE else Input.BAD
    draft.accounts[account.id] = STEPS[account_state(account), input_](draft, account, listed)


def _merge(draft: _Draft, before: Account | None, listed: ListedAccount) -> Account:
    now = draft.now
    if before is None:
        draft.transitions.append(
            Transition(draft.workspace.name, listed.id, None, listed.status, now)
        )
        before = Account(
            workspace=draft.workspace.name,
            id=listed.id,
            name=listed.name,
            url=listed.url,
            country=listed.country,
            status=listed.status,
            raw_status=listed.raw_status,
            since=now,
            first_seen_at=now,
        )
    changes = before.changes
    if before.incident_id is None or not _is_flapping(draft, before):
        recent = now - draft.policy.flapping.within
        changes = tuple(at for at in changes if at > recent)
    since = min(before.since, now)
    if before.status is not listed.status:
        draft.transitions.append(
            Transition(draft.workspace.name, listed.id, before.status, listed.status, now)
        )
        changes = (*changes, now)[-draft.policy.flapping.changes :]
        since = now
    return replace(
        before,
        name=listed.name,
        url=listed.url,
        country=listed.country,
        status=listed.status,
        raw_status=listed.raw_status,
        since=since,
        changes=changes,
        missing_polls=0,
        missing_since=None,
    )


def account_state(account: Account) -> AccountState:
    """Return where *account* stands."""
    if account.incident_id is not None:
        return AccountState.OPEN
    return AccountState.SUSPECT if account.bad_polls else AccountState.HEALTHY


def _is_flapping(draft: _Draft, account: Account) -> bool:
    return len(account.changes) >= draft.policy.flapping.changes


def _no_change(draft: _Draft, account: Account, listed: ListedAccount) -> Account:
    del draft, listed
    return account


def _forget_suspicion(draft: _Draft, account: Account, listed: ListedAccount) -> Account:
    del draft, listed
    return replace(account, bad_polls=0)


def _count_bad(draft: _Draft, account: Account, listed: ListedAccount) -> Account:
    polls = draft.count(account.bad_polls)
    if polls < draft.policy.open_after:
        return replace(account, bad_polls=polls)
    cause = Cause.FLAPPING if _is_flapping(draft, account) else Cause(account.status)
    account = replace(account, bad_polls=0, good_polls=0, session=listed.session)
    return replace(account, incident_id=draft.open(cause, account, account.since))


def _count_good(draft: _Draft, account: Account, listed: ListedAccount) -> Account:
    del listed
    incident = draft.incidents[account.incident_id or ""]
    account = replace(account, session=None)
    incident = _note_status(draft, incident, account)
    if _is_flapping(draft, account):
        if incident.cause is not Cause.FLAPPING:
            draft.change(incident, Cause.FLAPPING)
        if draft.now - account.since < draft.policy.flapping.settle:
            return account
        incident = draft.incidents[incident.id]
        account = replace(account, changes=())
    else:
        account = replace(account, good_polls=draft.count(account.good_polls))
        if account.good_polls < draft.policy.resolve_after:
            return account
    draft.resolve(incident, Resolution.RECOVERED)
    return replace(account, incident_id=None, good_polls=0)


def _still_bad(draft: _Draft, account: Account, listed: ListedAccount) -> Account:
    incident = draft.incidents[account.incident_id or ""]
    incident = _note_status(draft, incident, account)
    had_link = has_link(account.session)
    account = replace(account, good_polls=0, session=_latest(account.session, listed))
    cause = Cause(account.status)
    if _is_flapping(draft, account):
        cause = Cause.FLAPPING
        if draft.now - account.since >= draft.policy.flapping.settle:
            cause = Cause(account.status)
            account = replace(account, changes=())
    if incident.cause is not cause:
        draft.change(incident, cause)
    elif has_link(account.session) and not had_link and account.since < draft.now:
        draft.emit(EventType.REFRESHED, incident)
    return account


def _latest(session: Session | None, listed: ListedAccount) -> Session | None:
    """Return the session of an account that is still bad: a link we have outlives its absence."""
    if listed.status is Status.RECONNECTION_REQUIRED and not has_link(listed.session) and session:
        return session
    return listed.session


def _note_status(draft: _Draft, incident: Incident, account: Account) -> Incident:
    incident = replace(incident, status=account.status, raw_status=account.raw_status)
    draft.incidents[incident.id] = incident
    return incident


Step = Callable[[_Draft, Account, ListedAccount], Account]

STEPS: Mapping[tuple[AccountState, Input], Step] = {
    (AccountState.HEALTHY, Input.GOOD): _no_change,
    (AccountState.HEALTHY, Input.BAD): _count_bad,
    (AccountState.SUSPECT, Input.GOOD): _forget_suspicion,
    (AccountState.SUSPECT, Input.BAD): _count_bad,
    (AccountState.OPEN, Input.GOOD): _count_good,
    (AccountState.OPEN, Input.BAD): _still_bad,
}
"""What an input does in each state; missing accounts are alike in all (`_note_missing`)."""


# ── a good poll: accounts missing from the list ──────────────────────────────────────────────────


def _note_missing(draft: _Draft, missing: tuple[Account, ...]) -> None:
    policy, known = draft.policy, len(draft.workspace.accounts)
    many = len(missing) * 2 > known
    threshold = policy.missing_many_after if many else policy.missing_after
    believed = []
    for account in missing:
        since = account.missing_since if account.missing_since is not None else draft.now
        polls = draft.count(account.missing_polls)
        gone = replace(account, missing_polls=polls, missing_since=min(since, draft.now))
        draft.accounts[account.id] = gone
        if polls >= threshold:
            believed.append(gone)
    if believed:
        successors = _newest_by_profile(draft)
        for gone in believed:
            draft.accounts[gone.id] = _remove(draft, gone, successors)


def _newest_by_profile(draft: _Draft) -> dict[str, Micros]:
    present = (one for one in _accounts_after(draft).values() if one.missing_polls == 0)
    newest: dict[str, Micros] = {}
    for account in present:
        address = profile_key(account.url)
        newest[address] = max(account.first_seen_at, newest.get(address, 0))
    newest.pop("", None)
    return newest


def _remove(draft: _Draft, account: Account, successors: Mapping[str, Micros]) -> Account:
    """Believe that *account* is gone; *successors*: when profiles got a new id."""
    returned = successors.get(profile_key(account.url), -1) >= (account.missing_since or 0)
    resolution = Resolution.REPLACED if returned else Resolution.DISAPPEARED
    draft.transitions.append(
        Transition(draft.workspace.name, account.id, account.status, None, draft.now)
    )
    incident = draft.incidents.get(account.incident_id or "")
    if incident is not None:
        draft.resolve(incident, resolution)
    else:
        draft.events.append(
            Event(
                id=draft.new_id(),
                type=EventType.NOTICE,
                at=draft.now,
                workspace=draft.workspace.name,
                account_id=account.id,
                incident_id=None,
                detail=resolution.value,
            )
        )
    return replace(account, removed_at=draft.now, incident_id=None, session=None)


# ── accounts that left the configuration ─────────────────────────────────────────────────────────


def _unwatch(draft: _Draft, unwatched: tuple[Account, ...]) -> None:
    for account in unwatched:
        incident = draft.incidents.get(account.incident_id or "")
        if incident is not None:
            draft.resolve(incident, Resolution.UNWATCHED)
        draft.accounts[account.id] = replace(
            account, removed_at=draft.now, incident_id=None, session=None
        )


def _accounts_after(draft: _Draft) -> dict[str, Account]:
    merged = {**draft.workspace.accounts, **draft.accounts}
    return {id_: account for id_, account in merged.items() if account.removed_at is None}

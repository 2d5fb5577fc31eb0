"""A decision in the making: incidents open, change and end here, and each event says why."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, TypeVar

from .duration import Duration
from .model import (
    ALL_WORKSPACES,
    API,
    BLIND_CAUSES,
    Account,
    Cause,
    EarlierCause,
    Event,
    EventType,
    Incident,
    Micros,
    Reason,
    Resolution,
    Scope,
    Session,
    Status,
    Subject,
    Transition,
    Workspace,
)
from .policy import REFRESH_AFTER, IncidentPolicy

MAX_EARLIER: Final = 20
"""So many earlier causes of an incident are kept: the first, and the latest."""

Key = TypeVar("Key")
Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Decision:
    """What to record, all at once: the rows to write, and what happened (each event says why).

    *workspace* is the state after it (None: not touched). *wanted* are the incidents whose account
    needs a login and has no link; *released* the ids of those whose messages need not wait for a
    link any more. *baseline* says that this was the first good poll of the workspace; what happened
    *together* is one message for each receiver, as is what a baseline shows.
    """

    workspace: Workspace | None = None
    accounts: tuple[Account, ...] = ()
    sessions: Mapping[str, Session | None] = field(default_factory=dict)
    incidents: tuple[Incident, ...] = ()
    events: tuple[Event, ...] = ()
    transitions: tuple[Transition, ...] = ()
    wanted: tuple[Incident, ...] = ()
    released: tuple[str, ...] = ()
    baseline: bool = False
    together: bool = False


@dataclass(slots=True)
class Draft:
    """What was decided so far about *workspace*.

    *recorded_sessions* are those of its accounts, *incidents* begin as the open ones.
    """

    workspace: Workspace
    now: Micros
    new_id: Callable[[], str]
    policy: IncidentPolicy = field(default_factory=IncidentPolicy)
    scheduled: bool = True
    refresh_after: Duration = REFRESH_AFTER
    recorded_sessions: Mapping[str, Session] = field(default_factory=dict)
    sessions: dict[str, Session | None] = field(default_factory=dict)
    accounts: dict[str, Account] = field(default_factory=dict)
    incidents: dict[Subject, Incident] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    transitions: list[Transition] = field(default_factory=list)
    released: list[str] = field(default_factory=list)

    def count(self, so_far: int) -> int:
        """Return the count after this poll: one that nobody scheduled counts from 0 to 1 only."""
        return so_far + 1 if self.scheduled or so_far == 0 else so_far

    def session_of(self, account_id: str) -> Session | None:
        """Return the session that an account has now."""
        if account_id in self.sessions:
            return self.sessions[account_id]
        return self.recorded_sessions.get(account_id)

    def set_session(self, account_id: str, session: Session | None) -> None:
        """Let an account have this *session*, or none."""
        if session != self.session_of(account_id):
            self.sessions[account_id] = session

    def find_open(self, about: Subject) -> Incident | None:
        """Return the incident that is open *about* this, if there is one."""
        incident = self.incidents.get(about)
        return incident if incident and incident.is_open else None

    def find_open_of(self, account_id: str) -> Incident | None:
        """Return the incident of an account that is open, if there is one."""
        return self.find_open((Scope.ACCOUNT, account_id))

    def open(
        self,
        cause: Cause,
        about: Account | Subject,
        *,
        since: Micros,
        reason: Reason,
        detail: str = "",
    ) -> None:
        """Open an incident *about* an account or something else of the workspace, or of all."""
        account = about if isinstance(about, Account) else None
        scope, subject = (Scope.ACCOUNT, about.id) if isinstance(about, Account) else about
        incident = Incident(
            id=self.new_id(),
            workspace=ALL_WORKSPACES if about == API else self.workspace.name,
            scope=scope,
            subject=subject,
            cause=cause,
            opened_at=since,
            cause_since=since,
            status=account.status if account else None,
            raw_status=account.raw_status if account else None,
            detail=detail,
        )
        self.emit(EventType.OPENED, incident, reason, detail)

    def change(
        self,
        incident: Incident,
        cause: Cause,
        reason: Reason,
        *,
        detail: str,
        since: Micros | None = None,
    ) -> None:
        """Give *incident* another cause, *since* then or now, which ends an acknowledgement.

        Not so between the causes of blindness: who looks into one of them looks into all.
        """
        since = self.now if since is None else min(max(since, incident.cause_since), self.now)
        lasted = Duration(max(0, since - incident.cause_since))
        first, *later = (*incident.earlier, EarlierCause(incident.cause, lasted))
        is_still_blind = {incident.cause, cause}.issubset(BLIND_CAUSES)
        changed = replace(
            incident,
            cause=cause,
            cause_since=since,
            earlier=(first, *later[1 - MAX_EARLIER :]),
            detail=detail,
            remind_at=None,
            refresh=None,
            refresh_at=None,
        )
        after = changed if is_still_blind else changed.given_back()
        self.emit(EventType.CHANGED, after, reason, detail)

    def resolve(
        self, incident: Incident, resolution: Resolution, reason: Reason, detail: str = ""
    ) -> None:
        """End *incident*."""
        ended = replace(
            incident,
            resolved_at=max(self.now, incident.opened_at),
            resolution=resolution,
        )
        self.emit(EventType.RESOLVED, ended, reason, detail)

    def emit(self, kind: EventType, incident: Incident, reason: Reason, detail: str = "") -> None:
        """Note *incident* as it is now, and that something happened to it."""
        self.incidents[incident.about] = incident
        event = self._event(kind, incident.account_id, reason, detail)
        self.events.append(
            replace(
                event,
                workspace=incident.workspace,
                incident_id=incident.id,
                cause=incident.cause,
                times=incident.times,
            )
        )

    def notice(self, account_id: str, reason: Reason, detail: str) -> None:
        """Note something about an account that has no incident."""
        self.events.append(self._event(EventType.NOTICE, account_id, reason, detail))

    def _event(self, kind: EventType, account_id: str | None, reason: Reason, detail: str) -> Event:
        return Event(
            id=self.new_id(),
            type=kind,
            at=self.now,
            workspace=self.workspace.name,
            account_id=account_id,
            incident_id=None,
            reason=reason,
            detail=detail,
        )

    def transition(self, account_id: str, before: Status | None, after: Status | None) -> None:
        """Note that the status of an account differs from the recorded one (None: absent)."""
        self.transitions.append(
            Transition(self.workspace.name, account_id, before, after, self.now)
        )

    def accounts_after(self) -> dict[str, Account]:
        """Return the accounts of the workspace as they are now, removed ones left out."""
        merged = {**self.workspace.accounts, **self.accounts}
        return {id_: account for id_, account in merged.items() if account.removed_at is None}

    def removed_after(self) -> dict[str, Account]:
        """Return the accounts of the workspace that are removed now."""
        merged = {**self.workspace.removed, **self.accounts}
        return {id_: account for id_, account in merged.items() if account.removed_at is not None}

    def decision(
        self,
        workspace: Workspace | None,
        incidents: Mapping[Subject, Incident],
        *,
        wanted: tuple[Incident, ...] = (),
        together: bool = False,
    ) -> Decision:
        """Return what differs from the recorded workspace and from the *incidents* before."""
        before = self.workspace
        return Decision(
            workspace=workspace,
            accounts=_differing(self.accounts, {**before.removed, **before.accounts}),
            sessions=self.sessions,
            incidents=_differing(self.incidents, incidents),
            events=tuple(self.events),
            transitions=tuple(self.transitions),
            wanted=wanted,
            released=tuple(self.released),
            baseline=workspace is not None
            and before.baseline_at is None
            and workspace.baseline_at is not None,
            together=together,
        )


def _differing(after: Mapping[Key, Row], before: Mapping[Key, Row]) -> tuple[Row, ...]:
    return tuple(row for key, row in after.items() if before.get(key) != row)

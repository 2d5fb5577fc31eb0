"""Sessions: which accounts lack a link, or have a doubtful or another one; what asking comes to."""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from monitor.core.draft import Decision, Draft
from monitor.core.duration import Duration
from monitor.core.model import (
    Account,
    EventType,
    Incident,
    ListedAccount,
    Micros,
    Reason,
    Refresh,
    Session,
    Status,
    Workspace,
)

LINK_WAIT: Final = Duration.parse("10s")
"""How long a message waits for the link that is being asked for, or about."""

LINK_TRUST: Final = Duration.parse("10m")
"""How long a link that the account list does not show is told without asking whether it is good."""


def has_link(session: Session | None) -> bool:
    """Return whether there is a link that somebody could open."""
    return session is not None and session.link is not None


def is_doubtful(session: Session | None, now: Micros) -> bool:
    """Return whether there is a link that may have expired without the account list saying so."""
    if session is None or session.link is None or session.unconfirmed_since is None:
        return False
    return now - session.unconfirmed_since >= LINK_TRUST


def is_rotated(session: Session | None, before: Session | None) -> bool:
    """Return whether there is another link than *before*."""
    if session is None or before is None or not (has_link(session) and has_link(before)):
        return False
    return session.link != before.link


def latest_session(before: Session | None, listed: ListedAccount, now: Micros) -> Session | None:
    """Return the session of an account that is bad: a link we have outlives its absence."""
    session = listed.session
    if listed.status is Status.RECONNECTION_REQUIRED and before and not has_link(session):
        since = now if before.unconfirmed_since is None else before.unconfirmed_since
        return replace(before, unconfirmed_since=since)
    if session is None or not has_link(session):
        return session
    is_known = before is not None and before.link == session.link
    return replace(session, link_since=before.link_since if before and is_known else now)


def plan_refresh(incident: Incident, *, after: Duration, now: Micros) -> Incident:
    """Return *incident*, whose link rotated, with a refresh to come unless a reminder comes first.

    Between two reminders there is one at the most, however often the link rotates.
    """
    due_at, remind_at = now + after, incident.remind_at
    is_acknowledged = incident.acknowledged_at is not None  # then no reminder comes
    is_first = remind_at is None or is_acknowledged or remind_at > due_at
    if incident.refresh is not None or not is_first:
        return incident
    return replace(incident, refresh=Refresh.DUE, refresh_at=due_at)


def lack_link(draft: Draft) -> tuple[Incident, ...]:
    """Return the open incidents of accounts that need a login and have no link."""
    return tuple(
        incident
        for account in draft.accounts.values()
        if account.status is Status.RECONNECTION_REQUIRED
        and not has_link(draft.session_of(account.id))
        and (incident := draft.find_open_of(account.id))
    )


def needs_session(
    account: Account | None, incident: Incident | None, session: Session | None
) -> bool:
    """Return whether *account* may still need another session than *session* for its *incident*."""
    if account is None or incident is None or not incident.is_open:
        return False
    needs_login = account.status is Status.RECONNECTION_REQUIRED
    is_listed = session is not None and has_link(session) and session.unconfirmed_since is None
    return needs_login and not is_listed


def conclude(
    incident: Incident | None,
    account: Account | None,
    session: Session | None,
    *,
    before: Session | None = None,
    is_over: bool,
    now: Micros,
    new_id: Callable[[], str],
) -> Decision:
    """Decide what asking for a *session* of *account* came to: a link, or none to wait for.

    It may be the one that the account had *before*, still good. *is_over* says that the one before
    has ended: its link is not told any more.
    """
    if incident is None or not incident.is_open:
        return Decision()
    needs_login = account is not None and account.status is Status.RECONNECTION_REQUIRED
    if account is None or not needs_login or not (is_over or has_link(session)):
        return Decision(released=(incident.id,))
    draft = Draft(Workspace(incident.workspace), now, new_id, released=[incident.id])
    if session is None or not has_link(session):
        draft.sessions[account.id] = None
    else:
        is_new = before is None or session.link != before.link
        since = now if is_new else session.link_since
        draft.sessions[account.id] = replace(session, unconfirmed_since=now, link_since=since)
        if is_new:
            draft.emit(EventType.REFRESHED, incident, Reason.LINK_CREATED)
    return draft.decision(None, {incident.about: incident})

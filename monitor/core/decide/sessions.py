"""Sessions: which accounts lack a link, and what asking for one comes to."""

from collections.abc import Callable, Iterable
from dataclasses import replace

from monitor.core.draft import Decision, Draft
from monitor.core.model import (
    Account,
    EventType,
    Incident,
    Micros,
    Reason,
    Session,
    Status,
    Workspace,
)


def has_link(session: Session | None) -> bool:
    """Return whether there is a link that somebody could open."""
    return session is not None and session.link is not None


def needs_link(account: Account) -> bool:
    """Return whether *account* needs a login and there is no link for it."""
    return account.status is Status.RECONNECTION_REQUIRED and not has_link(account.session)


def lack_link(accounts: Iterable[Account]) -> tuple[str, ...]:
    """Return the ids of the accounts that need a login, have an incident and have no link."""
    return tuple(account.id for account in accounts if account.incident_id and needs_link(account))


def needs_session(account: Account | None, incident_id: str) -> bool:
    """Return whether the account of an incident still needs a session that was to be asked for."""
    return account is not None and account.incident_id == incident_id and needs_link(account)


def conclude(
    incident: Incident | None,
    account: Account | None,
    session: Session | None,
    *,
    now: Micros,
    new_id: Callable[[], str],
) -> Decision:
    """Decide what asking for a session of *account* came to: a link, or none to wait for."""
    if incident is None or not incident.is_open:
        return Decision()
    if account is None or session is None or not has_link(session):
        return Decision(released=(incident.id,))
    draft = Draft(Workspace(incident.workspace), now, new_id, released=[incident.id])
    draft.accounts[account.id] = replace(account, session=session)
    draft.emit(EventType.REFRESHED, incident, Reason.LINK_CREATED)
    return draft.decision(None, {incident.id: incident})

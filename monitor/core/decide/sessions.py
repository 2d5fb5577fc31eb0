"""Sessions: which accounts lack a link, and what asking for one comes to."""

from collections.abc import Callable

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


def needs_link(account: Account, session: Session | None) -> bool:
    """Return whether *account* needs a login and its *session* has no link for it."""
    return account.status is Status.RECONNECTION_REQUIRED and not has_link(session)


def lack_link(draft: Draft) -> tuple[Incident, ...]:
    """Return the open incidents of accounts that need a login and have no link."""
    return tuple(
        incident
        for account in draft.accounts.values()
        if needs_link(account, draft.session_of(account.id))
        and (incident := draft.find_open_of(account.id))
    )


def needs_session(
    account: Account | None, incident: Incident | None, session: Session | None
) -> bool:
    """Return whether *account* still needs another session than *session* for its *incident*."""
    has_open_incident = incident is not None and incident.is_open
    return has_open_incident and account is not None and needs_link(account, session)


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
    if account is None or not has_link(session):
        return Decision(released=(incident.id,))
    draft = Draft(Workspace(incident.workspace), now, new_id, released=[incident.id])
    draft.set_session(account.id, session)
    draft.emit(EventType.REFRESHED, incident, Reason.LINK_CREATED)
    return draft.decision(None, {incident.about: incident})

"""Sessions: which accounts lack a link, and what asking for one comes to."""

from collections.abc import Callable, Iterable
from dataclasses import replace

from monitor.core.draft import Decision
from monitor.core.model import Account, Event, EventType, Incident, Micros, Reason, Session, Status


def has_link(session: Session | None) -> bool:
    """Return whether there is a link that somebody could open."""
    return session is not None and session.link is not None


def lack_link(accounts: Iterable[Account]) -> tuple[str, ...]:
    """Return the ids of the accounts that need a login, have an incident and have no link."""
    return tuple(
        account.id
        for account in accounts
        if account.incident_id
        and account.status is Status.RECONNECTION_REQUIRED
        and not has_link(account.session)
    )


def needs_session(account: Account | None, incident_id: str) -> bool:
    """Return whether the account of an incident still needs a session that was to be asked for."""
    return (
        account is not None
        and account.status is Status.RECONNECTION_REQUIRED
        and account.incident_id == incident_id
        and not has_link(account.session)
    )


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
    event = Event(
        id=new_id(),
        type=EventType.REFRESHED,
        at=now,
        workspace=incident.workspace,
        account_id=account.id,
        incident_id=incident.id,
        reason=Reason.LINK_CREATED,
        cause=incident.cause,
    )
    return Decision(
        accounts=(replace(account, session=session),), events=(event,), released=(incident.id,)
    )

"""The life of a session: opened, replaced, moved on, expired, and what a login does.

pending → preparing → serving → streaming → success; from each of the first four also expired,
error and cancelled. An account has at most one unfinished session.
"""

from .identities import Identities
from .knobs import Knobs
from .model import IN_PROGRESS, AccountStatus, Customer, Session, SessionStatus, SimulatedAccount

SECOND = 1_000_000
DAY = 24 * 3600 * SECOND
HEADLINE = "Founder at Example"


def refresh(session: Session, knobs: Knobs, now: int) -> Session:
    """Let *session* expire if its time is up."""
    lifetime = knobs.progress_ttl if session.status in IN_PROGRESS else knobs.pending_ttl
    if session.is_active and now >= session.changed_at + round(lifetime * SECOND):
        session.status = SessionStatus.EXPIRED
        session.changed_at = now
    return session


def current(
    customer: Customer, account: SimulatedAccount, knobs: Knobs, now: int
) -> Session | None:
    """Find the unfinished session of *account*."""
    session = customer.sessions.get(account.session_id or "")
    if session is None or not refresh(session, knobs, now).is_active:
        return None
    return session


def find(customer: Customer, session_id: str, knobs: Knobs, now: int) -> Session | None:
    """Find a session that is not yet forgotten."""
    session = customer.sessions.get(session_id)
    if session is None:
        return None
    refresh(session, knobs, now)
    if not session.is_active and now > session.changed_at + round(knobs.session_retention * SECOND):
        del customer.sessions[session_id]
        return None
    return session


def forget_old(customer: Customer, knobs: Knobs, now: int) -> None:
    """Drop the sessions that nobody remembers."""
    for session_id in list(customer.sessions):
        find(customer, session_id, knobs, now)


def open_new(
    customer: Customer,
    account: SimulatedAccount | None,
    knobs: Knobs,
    identities: Identities,
    now: int,
) -> Session:
    """Open a session for *account*, or for a new one; an unfinished one is cancelled."""
    if account is not None:
        cancel_of(customer, account, knobs, now)
    session = Session(
        id=identities.uuid(),
        type=knobs.connection_type if account is None else knobs.reconnection_type,
        created_at=now,
        changed_at=now,
        account_id=None if account is None else account.id,
    )
    customer.sessions[session.id] = session
    if account is not None:
        account.session_id = session.id
    return session


def cancel_of(customer: Customer, account: SimulatedAccount, knobs: Knobs, now: int) -> None:
    """End the unfinished session of *account*, if it has one."""
    session = current(customer, account, knobs, now)
    if session is not None:
        session.status = SessionStatus.CANCELLED
        session.changed_at = now


def activate(customer: Customer, account: SimulatedAccount, knobs: Knobs, now: int) -> None:
    """Make *account* operational."""
    cancel_of(customer, account, knobs, now)
    account.status = AccountStatus.ACTIVE
    account.settling = None


def freeze(customer: Customer, account: SimulatedAccount, knobs: Knobs, now: int) -> None:
    """Freeze *account*; a login under way ends."""
    cancel_of(customer, account, knobs, now)
    if account.status is not AccountStatus.FROZEN:
        account.thawed = account.status
    account.status = AccountStatus.FROZEN
    account.settling = None


def remove(customer: Customer, account: SimulatedAccount, knobs: Knobs, now: int) -> None:
    """Take *account* from the list; it is remembered, so that its person can return."""
    cancel_of(customer, account, knobs, now)
    customer.removed[account.id] = customer.accounts.pop(account.id)


def move(
    customer: Customer,
    session: Session,
    status: SessionStatus,
    *,
    knobs: Knobs,
    identities: Identities,
    now: int,
) -> None:
    """Put *session* into *status*; success logs the account in, after the lag of polls."""
    session.status = status
    session.changed_at = now
    if status is not SessionStatus.SUCCESS:
        return
    if session.account_id is None:
        account = invent(identities, now)
        account.avatar_url = account.headline = None  # until they are parsed
        customer.accounts[account.id] = account
        session.account_id = account.id
        return
    known = customer.accounts.get(session.account_id)
    if known is None or known.status is not AccountStatus.RECONNECTION_REQUIRED:
        return
    if knobs.reconnection_moves_connected_at:
        known.connected_at = now
    if knobs.lag_polls == 0:
        activate(customer, known, knobs, now)
    else:
        known.settling = knobs.lag_polls


def invent(
    identities: Identities,
    now: int,
    *,
    name: str | None = None,
    account_id: str | None = None,
    url: str | None = None,
    country: str = "US",
    status: AccountStatus = AccountStatus.ACTIVE,
) -> SimulatedAccount:
    """Make an account, inventing what is not given."""
    person = identities.name() if name is None else name
    return SimulatedAccount(
        id=identities.uuid() if account_id is None else account_id,
        name=person,
        url=identities.profile_url(person) if url is None else url,
        country=country,
        status=status,
        connected_at=now,
        identification_token=identities.identification_token(),
        avatar_url=identities.avatar_url(),
        headline=HEADLINE,
    )


def may_attempt(customer: Customer, knobs: Knobs, now: int) -> bool:
    """Count a connection attempt unless the day's are used up."""
    customer.attempts = [at for at in customer.attempts if at > now - DAY]
    if len(customer.attempts) >= knobs.daily_attempts:
        return False
    customer.attempts.append(now)
    return True

"""What the methods `accounts.*` do.

Those that destroy something are here because the real service has them; the journal shows who
called them, and the monitor never does.
"""

from typing import Any

from . import sessions, subscription
from .errors import ApiError
from .model import (
    IN_PROGRESS,
    AccountStatus,
    Customer,
    Session,
    SessionStatus,
    SimulatedAccount,
    document,
)
from .world import World


def get_all(world: World, customer: Customer, _: dict[str, Any]) -> Any:
    """List accounts and pending sessions, opening a session for each account that needs one."""
    if world.knobs.get_all_needs_subscription and not subscription.places(customer, world.knobs):
        raise ApiError("subscriptionRequired", "There is no subscription.")
    sessions.forget_old(customer, world.knobs, world.now())
    shown = [_shown(world, customer, account) for account in customer.accounts.values()]
    pending = [
        {"sessionId": session.id, "status": session.status.value}
        for session in customer.sessions.values()
        if session.is_active and (session.account_id is None or world.knobs.reconnections_listed)
    ]
    if customer.override is not None:
        return customer.override[0]
    return {
        "accounts": [account for account in shown if account is not None],
        "pendingConnectionSessions": pending,
    }


def create_connection(world: World, customer: Customer, _: dict[str, Any]) -> Any:
    """Open a session for a new account, if there is a seat left and an attempt."""
    sessions.forget_old(customer, world.knobs, world.now())
    taken = sum(
        account.status is AccountStatus.ACTIVE or world.knobs.every_account_takes_seat
        for account in customer.accounts.values()
    )
    taken += sum(
        session.is_active and session.account_id is None for session in customer.sessions.values()
    )
    if taken >= subscription.places(customer, world.knobs):
        raise ApiError("noAvailableSeats", "All seats are taken.")
    if not sessions.may_attempt(customer, world.knobs, world.now()):
        raise _too_many_attempts()
    session = sessions.open_new(customer, None, world.knobs, world.identities, world.now())
    return {"sessionId": session.id, "connectionLink": world.knobs.link_base + session.id}


def create_reconnection(world: World, customer: Customer, parameters: dict[str, Any]) -> Any:
    """Open a session for an account that needs one, in place of the one it may have."""
    account = _account(customer, parameters)
    if account.status is not AccountStatus.RECONNECTION_REQUIRED or not account.reconnectable:
        raise ApiError("invalidRequestPayload", "This account cannot be reconnected now.")
    session = sessions.current(customer, account, world.knobs, world.now())
    if session is None or not (session.applies_proxy_change and session.status in IN_PROGRESS):
        if world.knobs.reconnections_count and not sessions.may_attempt(
            customer, world.knobs, world.now()
        ):
            raise _too_many_attempts()
        session = sessions.open_new(customer, account, world.knobs, world.identities, world.now())
    return {
        "reconnectionSessionId": session.id,
        "reconnectionLink": world.knobs.link_base + session.id,
    }


def get_session(world: World, customer: Customer, parameters: dict[str, Any]) -> Any:
    """Say how far a session has come."""
    session = _session(world, customer, parameters)
    described = {"sessionId": session.id, "status": session.status.value, "type": session.type}
    return {"session": described}


def cancel_session(world: World, customer: Customer, parameters: dict[str, Any]) -> Any:
    """End a session that is not over yet."""
    session = _session(world, customer, parameters)
    if session.is_active:
        session.status = SessionStatus.CANCELLED
        session.changed_at = world.now()
    elif world.knobs.second_cancel_fails:
        raise ApiError("invalidRequestPayload", "The session is over.")
    return {}


def reparse(world: World, customer: Customer, parameters: dict[str, Any]) -> Any:
    """Read picture and headline anew, which takes no time here and a login that works."""
    account = _account(customer, parameters)
    if account.status is AccountStatus.ACTIVE:
        account.avatar_url = world.identities.avatar_url()
        account.headline = sessions.HEADLINE
    return {"workflowId": f"reparseAccountInfoWorkflow-{world.identities.uuid()}"}


def regenerate_token(world: World, customer: Customer, parameters: dict[str, Any]) -> Any:
    """Give the account another identification token; the old one is worth nothing at once."""
    account = _account(customer, parameters)
    account.identification_token = world.identities.identification_token()
    return {"token": account.identification_token}


def disconnect(world: World, customer: Customer, parameters: dict[str, Any]) -> Any:
    """Remove the account for good."""
    account = _account(customer, parameters)
    sessions.remove(customer, account, world.knobs, world.now())
    return {}


def _account(customer: Customer, parameters: dict[str, Any]) -> SimulatedAccount:
    account_id = parameters.get("accountId")
    if not isinstance(account_id, str) or not account_id:
        raise ApiError("accountIdRequired", "accountId is required.")
    account = customer.accounts.get(account_id)
    if account is None:
        raise ApiError("accountNotFound", "There is no such account.")
    return account


def _session(world: World, customer: Customer, parameters: dict[str, Any]) -> Session:
    session_id = parameters.get("sessionId")
    if not isinstance(session_id, str) or not session_id:
        raise ApiError("invalidRequestPayload", "sessionId is required.")
    session = sessions.find(customer, session_id, world.knobs, world.now())
    if session is None:
        raise ApiError("sessionNotFound", "There is no such session.")
    return session


def _too_many_attempts() -> ApiError:
    return ApiError("dailyConnectionAttemptsExceeded", "Too many attempts within 24 hours.")


def _shown(world: World, customer: Customer, account: SimulatedAccount) -> dict[str, Any] | None:
    if account.hidden > 0:
        account.hidden -= 1
        return None
    if account.settling == 0:
        sessions.activate(customer, account, world.knobs, world.now())
    session = None
    if account.status is AccountStatus.RECONNECTION_REQUIRED:
        session = _offered(world, customer, account)
    if account.settling is not None:
        account.settling -= 1
    return document(account, session, world.knobs.link_base)


def _offered(world: World, customer: Customer, account: SimulatedAccount) -> Session | None:
    knobs, now = world.knobs, world.now()
    session = sessions.current(customer, account, knobs, now)
    if session is not None:
        return session
    if account.settling is not None and not knobs.lag_opens_session:
        return customer.sessions.get(account.session_id or "")
    if not knobs.get_all_creates_sessions or not account.reconnectable:
        return None
    if knobs.auto_sessions_count and not sessions.may_attempt(customer, knobs, now):
        return None
    return sessions.open_new(customer, account, knobs, world.identities, now)

"""What each method of the admin API does for a customer, and the errors that it can answer.

Those that destroy something are here because the real service has them; the request log shows who
called them, and the monitor never does.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, TypeAlias, TypeVar

from .accounts import HEADLINE, AccountStatus, Session, SessionStatus, SimulatedAccount
from .assumptions import Assumptions
from .state import Customer
from .subscription import MAX_SEATS, BillingPeriod, SeatType, SubscriptionStatus

CHECKOUT: Final = "https://checkout.example.com/pay/"

Headers: TypeAlias = tuple[tuple[str, str], ...]
Method: TypeAlias = Callable[[Customer, dict[str, Any]], Any]
Choice = TypeVar("Choice", bound=StrEnum)


@dataclass(eq=False)
class ApiError(Exception):
    """A call is refused; *type* is the contract, *message* only text."""

    type: str
    message: str
    headers: Headers = ()

    def status(self, assumptions: Assumptions) -> int:
        """Return the HTTP status: the documented one, or the assumed one."""
        return {
            "linkedApiTokenRequired": 401,
            "invalidLinkedApiToken": 401,
            "accountIdRequired": 401,
            "accountNotFound": 401,
            "sessionNotFound": 404,
            "tooManyRequests": 429,
            "invalidRequestPayload": assumptions.invalid_payload_status,
            "noAvailableSeats": assumptions.no_seats_status,
            "dailyConnectionAttemptsExceeded": assumptions.attempts_status,
            "subscriptionRequired": assumptions.no_subscription_status,
        }[self.type]


def get_all(customer: Customer, _: dict[str, Any]) -> Any:
    """List accounts and pending sessions, opening a session for each account that needs one."""
    assumptions = customer.runtime.assumptions
    if assumptions.get_all_needs_subscription and not customer.paid_seats:
        raise ApiError("subscriptionRequired", "There is no subscription.")
    customer.prune_sessions()
    accounts = [_listed(customer, account) for account in customer.accounts.values()]
    pending = [
        {"sessionId": session.id, "status": session.status}
        for session in customer.sessions.values()
        if session.is_active and (session.account_id is None or assumptions.reconnections_listed)
    ]
    if customer.override is not None:
        return customer.override[0]
    return {
        "accounts": [account for account in accounts if account is not None],
        "pendingConnectionSessions": pending,
    }


def _listed(customer: Customer, account: SimulatedAccount) -> dict[str, Any] | None:
    if account.hidden > 0:
        account.hidden -= 1
        return None
    if account.settling == 0:
        account.activate()
    session = _offered(customer, account) if account.needs_login else None
    if account.settling is not None:
        account.settling -= 1
    return account.listed(session)


def _offered(customer: Customer, account: SimulatedAccount) -> Session | None:
    assumptions = customer.runtime.assumptions
    session = account.active_session()
    if session is not None:
        return session
    if account.settling is not None and not assumptions.lag_opens_session:
        return customer.find_session(account.session_id or "")
    if not assumptions.get_all_creates_sessions or not account.reconnectable:
        return None
    if assumptions.auto_sessions_count and not customer.count_attempt():
        return None
    return customer.open_session(account)


def create_connection(customer: Customer, _: dict[str, Any]) -> Any:
    """Open a session for a new account, if there is a seat left and an attempt."""
    customer.prune_sessions()
    accounts, sessions = customer.accounts.values(), customer.sessions.values()
    taken = sum(session.is_active and session.account_id is None for session in sessions)
    every = customer.runtime.assumptions.every_account_takes_seat
    taken += sum(every or account.status is AccountStatus.ACTIVE for account in accounts)
    if taken >= customer.paid_seats:
        raise ApiError("noAvailableSeats", "All seats are taken.")
    _attempt(customer)
    session = customer.open_session()
    return {"sessionId": session.id, "connectionLink": session.link}


def create_reconnection(customer: Customer, parameters: dict[str, Any]) -> Any:
    """Open a session for an account that needs one, in place of the one it may have."""
    account = _account(customer, parameters)
    if not account.needs_login or not account.reconnectable:
        raise ApiError("invalidRequestPayload", "This account cannot be reconnected now.")
    session = account.active_session()
    if session is None or not (session.applies_proxy_change and session.is_in_progress):
        if customer.runtime.assumptions.reconnections_count:
            _attempt(customer)
        session = customer.open_session(account)
    return {"reconnectionSessionId": session.id, "reconnectionLink": session.link}


def get_session(customer: Customer, parameters: dict[str, Any]) -> Any:
    """Return how far a session has come."""
    session = _session(customer, parameters)
    return {"session": {"sessionId": session.id, "status": session.status, "type": session.type}}


def cancel_session(customer: Customer, parameters: dict[str, Any]) -> Any:
    """End a session that is not over yet."""
    session = _session(customer, parameters)
    if session.is_active:
        session.move(SessionStatus.CANCELLED)
    elif customer.runtime.assumptions.second_cancel_fails:
        raise ApiError("invalidRequestPayload", "The session is over.")
    return {}


def reparse(customer: Customer, parameters: dict[str, Any]) -> Any:
    """Read picture and headline anew, which takes no time here and a login that works."""
    account = _account(customer, parameters)
    identities = customer.runtime.identities
    if account.status is AccountStatus.ACTIVE:
        account.avatar_url = identities.avatar_url()
        account.headline = HEADLINE
    return {"workflowId": f"reparseAccountInfoWorkflow-{identities.uuid()}"}


def regenerate_token(customer: Customer, parameters: dict[str, Any]) -> Any:
    """Give the account another identification token; the old one is worth nothing at once."""
    account = _account(customer, parameters)
    account.identification_token = customer.runtime.identities.identification_token()
    return {"token": account.identification_token}


def disconnect(customer: Customer, parameters: dict[str, Any]) -> Any:
    """Remove the account for good."""
    customer.remove(_account(customer, parameters))
    return {}


def get_status(customer: Customer, _: dict[str, Any]) -> Any:
    """Return whether the customer pays, and how that may end."""
    subscription = customer.subscription
    status: dict[str, Any] = {
        "eligibleForTrial": subscription.eligible_for_trial,
        "cancelAtPeriodEnd": subscription.cancel_at_period_end,
    }
    if subscription.status is not None or customer.runtime.assumptions.status_null:
        status["status"] = subscription.status
    return status


def get_seats(customer: Customer, _: dict[str, Any]) -> Any:
    """List the seats in their groups."""
    seats = [
        {"seatType": kind, "quantity": quantity, "billingPeriod": period}
        for (kind, period), quantity in customer.subscription.seats.items()
    ]
    return {"seats": seats}


def set_seats(customer: Customer, parameters: dict[str, Any]) -> Any:
    """Buy or give back seats; whoever has no subscription is sent to pay first."""
    quantity = parameters.get("quantity")
    kind = _choice(SeatType, parameters.get("seatType"))
    period = _choice(BillingPeriod, parameters.get("billingPeriod"))
    if type(quantity) is not int or not 1 <= quantity <= MAX_SEATS:
        raise ApiError("invalidRequestPayload", f"quantity has to be from 1 to {MAX_SEATS}.")
    if customer.subscription.status in {None, SubscriptionStatus.CANCELED}:
        link = CHECKOUT + customer.runtime.identities.uuid()
        return {"status": "processing", "paymentLink": link}
    customer.subscription.set_seats(quantity, kind, period)
    customer.change_seats()
    return {"status": "complete"}


def _account(customer: Customer, parameters: dict[str, Any]) -> SimulatedAccount:
    account_id = parameters.get("accountId")
    if not isinstance(account_id, str) or not account_id:
        raise ApiError("accountIdRequired", "accountId is required.")
    account = customer.accounts.get(account_id)
    if account is None:
        raise ApiError("accountNotFound", "There is no such account.")
    return account


def _session(customer: Customer, parameters: dict[str, Any]) -> Session:
    session_id = parameters.get("sessionId")
    if not isinstance(session_id, str) or not session_id:
        raise ApiError("invalidRequestPayload", "sessionId is required.")
    session = customer.find_session(session_id)
    if session is None:
        raise ApiError("sessionNotFound", "There is no such session.")
    return session


def _attempt(customer: Customer) -> None:
    if not customer.count_attempt():
        message = "Too many attempts within 24 hours."
        raise ApiError("dailyConnectionAttemptsExceeded", message)


def _choice(kind: type[Choice], value: object) -> Choice:
    try:
        return kind(str(value))
    except ValueError:
        raise ApiError("invalidRequestPayload", f"{value!r:.40} is not known.") from None


ENDPOINTS: Final[Mapping[str, Method]] = {
    "accounts.getAll": get_all,
    "accounts.createConnectionSession": create_connection,
    "accounts.createReconnectionSession": create_reconnection,
    "accounts.getConnectionSession": get_session,
    "accounts.cancelConnectionSession": cancel_session,
    "accounts.reparseAccountInfo": reparse,
    "accounts.regenerateIdentificationToken": regenerate_token,
    "accounts.disconnect": disconnect,
    "subscription.getStatus": get_status,
    "subscription.getSeats": get_seats,
    "subscription.setSeats": set_seats,
}
WITHOUT_PARAMETERS: Final = frozenset({get_all, create_connection, get_status, get_seats})

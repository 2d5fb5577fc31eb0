"""The simulator: everything that one can do to the simulated service."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from inspect import isfunction, signature
from typing import Any, Final, get_type_hints

from .accounts import AccountStatus, Session, SessionStatus, SimulatedAccount
from .assumptions import MAX_NUMBER, Assumptions, fits
from .faults import Fault, Kind
from .runtime import SECOND
from .state import Customer, State, UnknownNameError
from .subscription import MAX_SEATS, BillingPeriod, SeatType, Subscription, SubscriptionStatus


class Simulator(State):
    """A fake Linked API.

    Every public method is an action: the control API and scenarios call it by its name. Where one
    takes an *account*, that is an id, a name that only one account has, or `*` for all accounts of
    the customer. They raise UnknownNameError for what does not exist and ValueError for what does
    not fit.
    """

    def add_customer(self, name: str, token: str, seats: int = MAX_SEATS) -> Customer:
        """Add a customer with a token and seats of their own."""
        if name in self.customers:
            raise ValueError(f"there already is a customer {name!r}")
        customer = Customer(runtime=self, name=name)
        customer.subscription.set_seats(seats)
        self._give_token(customer, token)
        self.customers[name] = customer
        return customer

    def remove_customer(self, customer: str) -> None:
        """Remove a customer; the token is invalid from now on."""
        removed = self.customers.pop(self.customer(customer).name)
        del self.owners[removed.token]

    def set_token(self, customer: str, token: str) -> None:
        """Rotate the token; the old one is invalid from now on."""
        self._give_token(self.customer(customer), token)

    def set_seats(
        self, customer: str, quantity: int, seat_type: str = "core", billing_period: str = "month"
    ) -> Subscription:
        """Change the seats of one group; accounts in excess freeze, and thaw when there are more.

        None at all takes the group away.
        """
        owner = self.customer(customer)
        owner.subscription.set_seats(quantity, SeatType(seat_type), BillingPeriod(billing_period))
        owner.change_seats()
        return owner.subscription

    def set_subscription(
        self,
        customer: str,
        status: str | None,
        *,
        eligible_for_trial: bool = False,
        cancel_at_period_end: bool = False,
    ) -> Subscription:
        """Set whether the customer pays (None: there is no subscription)."""
        owner = self.customer(customer)
        subscription = owner.subscription
        subscription.status = None if status is None else SubscriptionStatus(status)
        subscription.eligible_for_trial = eligible_for_trial
        subscription.cancel_at_period_end = cancel_at_period_end
        owner.change_seats()
        return subscription

    def add_account(
        self,
        customer: str,
        name: str | None = "Jane Doe",
        status: str = "active",
        *,
        id: str | None = None,  # noqa: A002 - the API's own word
        url: str | None = None,
        country: str = "US",
    ) -> SimulatedAccount:
        """Connect an account; what is None is invented."""
        owner = self.customer(customer)
        if id in owner.accounts:
            raise ValueError(f"there already is an account {id!r}")
        return owner.connect(
            name=name, account_id=id, url=url, country=country, status=AccountStatus(status)
        )

    def add_accounts(
        self, customer: str, count: int, status: str = "active"
    ) -> list[SimulatedAccount]:
        """Connect *count* invented accounts."""
        return [self.add_account(customer, None, status) for _ in range(count)]

    def remove(self, customer: str, account: str) -> None:
        """Disconnect: the account is no longer listed."""
        for selected in self.select(customer, account):
            self.customer(customer).remove(selected)

    def return_as_new(self, customer: str, account: str) -> SimulatedAccount:
        """Disconnect and connect from scratch: the same person and address under a new id."""
        owner = self.customer(customer)
        if account not in owner.removed:
            account = self.account(customer, account).id
            self.remove(customer, account)
        old = owner.removed.pop(account)
        return owner.connect(name=old.name, url=old.url, country=old.country)

    def hide(self, customer: str, account: str, polls: int = 1) -> None:
        """Leave the account out of the next *polls* answers, as a glitch would."""
        for selected in self.select(customer, account):
            selected.hidden = polls

    def sign_out(self, customer: str, account: str) -> None:
        """Let LinkedIn sign the account out: it needs a reconnection."""
        for selected in self.select(customer, account):
            selected.sign_out()

    def freeze(self, customer: str, account: str) -> None:
        """Freeze the account for want of a seat; a login in progress ends."""
        for selected in self.select(customer, account):
            selected.freeze()

    def recover(self, customer: str, account: str) -> None:
        """Make the account active, whatever was wrong."""
        for selected in self.select(customer, account):
            selected.activate()

    def rename(self, customer: str, account: str, name: str) -> None:
        """Change the person's name."""
        self.account(customer, account).name = name

    def set_reconnectable(self, customer: str, account: str, possible: bool) -> None:  # noqa: FBT001 - an action takes its parameters by name
        """Set whether the account can be reconnected at all."""
        for selected in self.select(customer, account):
            selected.reconnectable = possible

    def set_session(self, customer: str, account: str, status: str) -> Session:
        """Move the account's latest session to *status*, opening one if there is none."""
        session = self.account(customer, account).session
        if session is None or not session.is_active:
            session = self.rotate_link(customer, account)
        session.move(SessionStatus(status))
        return session

    def set_session_status(self, session: str, status: str) -> Session:
        """Move any session to any status, backwards too; `success` is a login."""
        _, login = self.session(session)
        login.move(SessionStatus(status))
        return login

    def set_proxy_change(self, session: str, applying: bool) -> None:  # noqa: FBT001 - as above
        """Set whether the session applies a pending proxy change, which protects it."""
        _, login = self.session(session)
        login.applies_proxy_change = applying

    def rotate_link(self, customer: str, account: str) -> Session:
        """Replace the account's session as a user of the dashboard could."""
        signed_out = self.account(customer, account)
        if not signed_out.needs_login:
            raise ValueError(f"{signed_out.name} needs no login")
        return self.customer(customer).open_session(signed_out)

    def expire_session(self, customer: str, account: str) -> None:
        """Let the unfinished sessions time out."""
        for selected in self.select(customer, account):
            selected.end_session(SessionStatus.EXPIRED)

    def patch(
        self,
        customer: str,
        account: str,
        fields: dict[str, Any] | None = None,
        without: list[str] | None = None,
    ) -> None:
        """Change the account's JSON: put *fields* in, take the keys *without* out."""
        for selected in self.select(customer, account):
            selected.patch = dict(fields or {})
            selected.without = sorted(set(without or ()))

    def clear_patch(self, customer: str, account: str) -> None:
        """Show the account as it is."""
        self.patch(customer, account)

    def override(self, customer: str, result: Any) -> None:
        """Answer `accounts.getAll` with *result*, whatever is true."""
        self.customer(customer).override = (result,)

    def clear_override(self, customer: str) -> None:
        """Answer `accounts.getAll` truthfully again."""
        self.customer(customer).override = None

    def add_fault(self, /, kind: Kind = "respond", **details: Any) -> Fault:
        """Let something go wrong with the next requests; *details* are those of a `Fault`."""
        if isinstance(body := details.get("body"), str):
            details["body"] = body.encode()
        try:
            fault = Fault(kind=kind, **details)
        except TypeError as error:
            raise ValueError(str(error)) from None
        if fault.customer is not None:
            self.customer(fault.customer)
        return self.faults.add(fault)

    def clear_faults(self, customer: str | None = None, method: str | None = None) -> int:
        """Lift the faults of a customer or method, or all."""
        return self.faults.clear(customer=customer, method=method)

    def tune(self, /, **changes: Any) -> Assumptions:
        """Change assumptions by their names."""
        try:
            self.assumptions = replace(self.assumptions, **changes)
        except TypeError as error:
            raise ValueError(str(error)) from None
        return self.assumptions

    def advance(self, seconds: float) -> None:
        """Move the simulated clock on (back, if negative)."""
        if not abs(seconds) < MAX_NUMBER:
            raise ValueError("the clock does not go that far")
        self.offset += round(seconds * SECOND)

    def _give_token(self, customer: Customer, token: str) -> None:
        if not token.strip() or self.owner(token) not in (None, customer):
            raise ValueError("a token must not be empty or belong to somebody else")
        self.owners.pop(customer.token, None)
        customer.token = token
        self.owners[token] = customer


ACTIONS: Final = frozenset(
    name for name, member in vars(Simulator).items() if isfunction(member) and name[0] != "_"
)


def bind_action(
    simulator: Simulator, action: str, parameters: Mapping[str, Any]
) -> Callable[[], object]:
    """Find *action* (`sign_out` or `sign-out`) and fit *parameters*, as JSON has them, to it.

    Raise UnknownNameError for an action that is not there, ValueError for parameters that do not
    fit; nothing has happened then.
    """
    name = action.replace("-", "_")
    if name not in ACTIONS:
        raise UnknownNameError(f"there is no action {action!r}")
    method = getattr(simulator, name)
    try:
        arguments = signature(method).bind(**parameters).arguments
    except TypeError as error:
        raise ValueError(f"{action}: {error}") from None
    hints = get_type_hints(method)
    for parameter, value in arguments.items():
        if not fits(value, hints[parameter]):
            raise ValueError(f"{action}: {parameter} cannot be {value!r:.80}")
    return partial(method, **parameters)

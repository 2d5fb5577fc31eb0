"""The simulator: a world of customers and accounts, and everything one can do to it."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from starlette.routing import Router
from starlette.types import ASGIApp

from . import sessions, subscription
from .actions import bound
from .control import control
from .faults import Fault, Kind
from .journal import Entry
from .model import (
    MOST_SEATS,
    AccountStatus,
    BillingPeriod,
    Customer,
    SeatType,
    Session,
    SessionStatus,
    SimulatedAccount,
    Subscription,
    SubscriptionStatus,
)
from .page import session_page
from .wire import Edge
from .world import World


class Simulator(World):
    """A fake Linked API.

    Every public method that changes something is an action: the control API and scenarios call it
    by its name. Where a method takes an *account*, that is an id, a name that only one account
    has, or `*` for all accounts of the customer.
    """

    @cached_property
    def asgi(self) -> ASGIApp:
        """The application to serve."""
        routes = [control(self, self.perform), session_page(self)]
        return Router(routes, redirect_slashes=False, default=Edge(self))

    @property
    def requests(self) -> list[Entry]:
        """The requests to the API so far, oldest first."""
        return self.journal.entries

    def perform(self, action: str, parameters: Mapping[str, Any]) -> object:
        """Carry out an action by its name, checking its parameters first."""
        return bound(self, action, parameters)()

    def add_customer(self, name: str, token: str, seats: int = MOST_SEATS) -> Customer:
        """Add a customer with a token and seats of their own."""
        if name in self.customers:
            raise ValueError(f"there already is a customer {name!r}")
        customer = Customer(name=name, token="")
        subscription.put(customer, seats)
        self._give_token(customer, token)
        self.customers[name] = customer
        return customer

    def remove_customer(self, customer: str) -> None:
        """Remove a customer; the token is invalid from now on."""
        del self.customers[self.customer(customer).name]

    def set_token(self, customer: str, token: str) -> None:
        """Rotate the token; the old one is invalid from now on."""
        self._give_token(self.customer(customer), token)

    def set_seats(
        self,
        customer: str,
        quantity: int,
        seat_type: str = "core",
        billing_period: str = "month",
    ) -> Subscription:
        """Change the seats of one group; accounts in excess freeze, and thaw when there are more.

        None at all takes the group away.
        """
        owner = self.customer(customer)
        subscription.put(owner, quantity, SeatType(seat_type), BillingPeriod(billing_period))
        subscription.changed(owner, self.knobs, self.now())
        return owner.subscription

    def set_subscription(
        self,
        customer: str,
        status: str | None,
        *,
        eligible_for_trial: bool = False,
        cancel_at_period_end: bool = False,
    ) -> Subscription:
        """Say whether the customer pays (None: there is no subscription); see the knobs."""
        owner = self.customer(customer)
        found = owner.subscription
        found.status = None if status is None else SubscriptionStatus(status)
        found.eligible_for_trial = eligible_for_trial
        found.cancel_at_period_end = cancel_at_period_end
        subscription.changed(owner, self.knobs, self.now())
        return found

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
        account = sessions.invent(
            self.identities,
            self.now(),
            name=name,
            account_id=id,
            url=url,
            country=country,
            status=AccountStatus(status),
        )
        owner.accounts[account.id] = account
        return account

    def add_accounts(
        self, customer: str, count: int, status: str = "active"
    ) -> list[SimulatedAccount]:
        """Connect *count* invented accounts."""
        return [self.add_account(customer, None, status) for _ in range(count)]

    def remove(self, customer: str, account: str) -> None:
        """Disconnect: the account is no longer listed."""
        owner, chosen = self.chosen(customer, account)
        for each in chosen:
            sessions.remove(owner, each, self.knobs, self.now())

    def return_as_new(self, customer: str, account: str) -> SimulatedAccount:
        """Disconnect and connect from scratch: the same person and address under a new id."""
        owner = self.customer(customer)
        if account not in owner.removed:
            account = self.one(customer, account)[1].id
            self.remove(customer, account)
        old = owner.removed.pop(account)
        return self.add_account(customer, old.name, url=old.url, country=old.country)

    def hide(self, customer: str, account: str, polls: int = 1) -> None:
        """Leave the account out of the next *polls* answers, as a glitch would."""
        for each in self.chosen(customer, account)[1]:
            each.hidden = polls

    def sign_out(self, customer: str, account: str) -> None:
        """Let LinkedIn sign the account out: it needs a reconnection."""
        for each in self.chosen(customer, account)[1]:
            each.status = AccountStatus.RECONNECTION_REQUIRED
            each.settling = None

    def freeze(self, customer: str, account: str) -> None:
        """Freeze the account for want of a seat; a login under way ends."""
        owner, chosen = self.chosen(customer, account)
        for each in chosen:
            sessions.freeze(owner, each, self.knobs, self.now())

    def recover(self, customer: str, account: str) -> None:
        """Make the account active, whatever was wrong."""
        owner, chosen = self.chosen(customer, account)
        for each in chosen:
            sessions.activate(owner, each, self.knobs, self.now())

    def rename(self, customer: str, account: str, name: str) -> None:
        """Change the person's name."""
        self.one(customer, account)[1].name = name

    def set_reconnectable(self, customer: str, account: str, possible: bool) -> None:  # noqa: FBT001 - an action takes its parameters by name
        """Say whether the account can be reconnected at all."""
        for each in self.chosen(customer, account)[1]:
            each.reconnectable = possible

    def set_session(self, customer: str, account: str, status: str) -> Session:
        """Move the account's latest session to *status*, opening one if there is none."""
        owner, one = self.one(customer, account)
        session = owner.sessions.get(one.session_id or "")
        if session is None or not session.is_active:
            session = self.rotate_link(customer, one.id)
        return self.set_session_status(session.id, status)

    def set_session_status(self, session: str, status: str) -> Session:
        """Move any session to any status, backwards too; `success` is a login."""
        owner, found = self.session(session)
        self.move(owner, found, SessionStatus(status))
        return found

    def set_proxy_change(self, session: str, applying: bool) -> None:  # noqa: FBT001 - as above
        """Say whether the session applies a pending proxy change, which protects it."""
        self.session(session)[1].applies_proxy_change = applying

    def rotate_link(self, customer: str, account: str) -> Session:
        """Replace the account's session as a user of the dashboard could."""
        owner, one = self.one(customer, account)
        if one.status is not AccountStatus.RECONNECTION_REQUIRED:
            raise ValueError(f"{one.name} needs no login")
        return sessions.open_new(owner, one, self.knobs, self.identities, self.now())

    def expire_session(self, customer: str, account: str) -> None:
        """Let the unfinished sessions time out."""
        owner, chosen = self.chosen(customer, account)
        for each in chosen:
            session = sessions.current(owner, each, self.knobs, self.now())
            if session is not None:
                self.set_session_status(session.id, SessionStatus.EXPIRED)

    def patch(
        self,
        customer: str,
        account: str,
        fields: dict[str, Any] | None = None,
        without: list[str] | None = None,
    ) -> None:
        """Bend the account's JSON: put *fields* in, take the keys *without* out."""
        for each in self.chosen(customer, account)[1]:
            each.patch = dict(fields or {})
            each.without = frozenset(without or ())

    def clear_patch(self, customer: str, account: str) -> None:
        """Show the account as it is."""
        self.patch(customer, account)

    def override(self, customer: str, result: Any) -> None:
        """Answer `accounts.getAll` with *result*, whatever is true."""
        self.customer(customer).override = (result,)

    def clear_override(self, customer: str) -> None:
        """Answer `accounts.getAll` truthfully again."""
        self.customer(customer).override = None

    def add_fault(
        self,
        kind: Kind = "respond",
        *,
        customer: str | None = None,
        method: str | None = None,
        times: int | None = None,
        skip: int = 0,
        status: int | None = None,
        body: str | bytes | None = None,
        headers: dict[str, str] | None = None,
        delay: float = 0.0,
        piece: int = 16,
        interval: float = 0.05,
        execute: bool | None = None,
    ) -> Fault:
        """Let something go wrong with the next requests; see `Fault`."""
        fault = Fault(
            kind=kind,
            customer=None if customer is None else self.customer(customer).name,
            method=method,
            times=times,
            skip=skip,
            status=status,
            body=body.encode() if isinstance(body, str) else body,
            headers=tuple((headers or {}).items()),
            delay=delay,
            piece=piece,
            interval=interval,
            execute=execute,
        )
        return self.faults.add(fault)

    def clear_faults(self, customer: str | None = None, method: str | None = None) -> int:
        """Lift the faults of a customer or method, or all."""
        return self.faults.clear(customer=customer, method=method)

    def _give_token(self, customer: Customer, token: str) -> None:
        if not token.strip() or self.owner(token) not in (None, customer):
            raise ValueError("a token must not be empty or belong to somebody else")
        customer.token = token

"""The simulated service: its customers, each with accounts, sessions and a subscription."""

from dataclasses import dataclass, field
from typing import Any, Final

from .accounts import AccountStatus, Session, SimulatedAccount
from .faults import Faults
from .rate_limiter import RateLimiter
from .request_log import LoggedRequest, RequestLog
from .runtime import SECOND, Runtime, timestamp
from .subscription import Subscription

DAY: Final = 24 * 3600


class UnknownNameError(LookupError):
    """There is no customer, account, session or action of that name."""


@dataclass(slots=True, kw_only=True, eq=False)
class Customer:
    """The owner of a token. *override* replaces the result of `accounts.getAll`.

    One seat carries one account. When fewer seats are paid for than there are accounts, those in
    excess freeze; when there are seats again, they thaw. *seats_change_at* is when such a change
    shows in the accounts.
    """

    runtime: Runtime = field(repr=False)
    name: str
    token: str = ""
    subscription: Subscription = field(default_factory=Subscription)
    seats_change_at: int | None = None
    accounts: dict[str, SimulatedAccount] = field(default_factory=dict)
    removed: dict[str, SimulatedAccount] = field(default_factory=dict)
    sessions: dict[str, Session] = field(default_factory=dict)
    attempts: list[int] = field(default_factory=list)
    override: tuple[Any] | None = None

    def connect(
        self,
        *,
        name: str | None = None,
        account_id: str | None = None,
        url: str | None = None,
        country: str = "US",
        status: AccountStatus = AccountStatus.ACTIVE,
    ) -> SimulatedAccount:
        """Add an account, inventing what is not given."""
        identities = self.runtime.identities
        name = identities.name() if name is None else name
        account = SimulatedAccount(
            runtime=self.runtime,
            id=identities.uuid() if account_id is None else account_id,
            name=name,
            url=identities.profile_url(name) if url is None else url,
            country=country,
            status=status,
            connected_at=self.runtime.now(),
            identification_token=identities.identification_token(),
            avatar_url=identities.avatar_url(),
        )
        self.accounts[account.id] = account
        return account

    def remove(self, account: SimulatedAccount) -> None:
        """Take *account* from the list; it is kept, so that its person can return."""
        account.end_session()
        self.removed[account.id] = self.accounts.pop(account.id)

    def open_session(self, account: SimulatedAccount | None = None) -> Session:
        """Open a session for *account*, cancelling the one it has, or for a new account."""
        assumptions, now = self.runtime.assumptions, self.runtime.now()
        if account is not None:
            account.end_session()
        session = Session(
            runtime=self.runtime,
            on_success=self._log_in,
            id=self.runtime.identities.uuid(),
            type=assumptions.reconnection_type if account else assumptions.connection_type,
            created_at=now,
            changed_at=now,
            account_id=account.id if account else None,
        )
        self.sessions[session.id] = session
        if account is not None:
            account.session = session
        return session

    def _log_in(self, session: Session) -> None:
        if session.account_id is None:
            account = self.connect()
            account.avatar_url = account.headline = None  # until they are parsed
            session.account_id = account.id
        elif session.account_id in self.accounts:
            self.accounts[session.account_id].log_in()

    def find_session(self, session_id: str) -> Session | None:
        """Find a session that is not yet forgotten."""
        session = self.sessions.get(session_id)
        if session is None:
            return None
        session.expire_if_due()
        if session.is_forgotten:
            del self.sessions[session_id]
            return None
        return session

    def prune_sessions(self) -> None:
        """Expire the sessions whose time is up, and drop those that are forgotten."""
        for session_id in list(self.sessions):
            self.find_session(session_id)

    def count_attempt(self) -> bool:
        """Count a connection attempt; return False if the day's are used up."""
        self.attempts = [at for at in self.attempts if self.runtime.seconds_since(at) < DAY]
        if len(self.attempts) >= self.runtime.assumptions.daily_attempts:
            return False
        self.attempts.append(self.runtime.now())
        return True

    @property
    def paid_seats(self) -> int:
        """How many accounts may work."""
        return self.subscription.paid_seats(self.runtime.assumptions)

    def change_seats(self) -> None:
        """Let a change of what is paid for take effect: at once, or after the assumed delay."""
        delay = round(self.runtime.assumptions.freeze_delay * SECOND)
        self.seats_change_at = self.runtime.now() + delay
        self.freeze_and_thaw()

    def freeze_and_thaw(self) -> None:
        """Freeze and thaw accounts after a change of what is paid for, if it is time."""
        if self.seats_change_at is None or self.runtime.now() < self.seats_change_at:
            return
        self.seats_change_at = None
        accounts = list(self.accounts.values())
        if self.runtime.assumptions.freeze_picks == "oldest":
            accounts.reverse()
        working = [account for account in accounts if not account.is_frozen]
        for account in working[self.paid_seats :]:
            account.freeze()
        frozen = [account for account in accounts if account.is_frozen]
        if self.runtime.assumptions.thaws:
            for account in frozen[: max(0, self.paid_seats - len(working))]:
                account.status = account.thawed_status

    def as_json(self) -> dict[str, Any]:
        """Describe the customer to the control API, without the token."""
        return {
            "name": self.name,
            "subscription": self.subscription,
            "accounts": list(self.accounts.values()),
            "sessions": list(self.sessions.values()),
        }


@dataclass(eq=False, repr=False)
class State(Runtime):
    """Everything behind the endpoints, and how to find things in it."""

    faults: Faults = field(default_factory=Faults, init=False)
    request_log: RequestLog = field(default_factory=RequestLog, init=False)
    rate_limiter: RateLimiter = field(default_factory=RateLimiter, init=False)
    customers: dict[str, Customer] = field(default_factory=dict, init=False)
    owners: dict[str, Customer] = field(default_factory=dict, init=False)
    """The customers by their tokens."""

    @property
    def requests(self) -> list[LoggedRequest]:
        """The requests to the API so far, oldest first."""
        return list(self.request_log.requests)

    def customer(self, name: str) -> Customer:
        """Find a customer by name."""
        try:
            return self.customers[name]
        except KeyError:
            raise UnknownNameError(f"there is no customer {name!r}") from None

    def owner(self, token: str | None) -> Customer | None:
        """Find the customer who has this token."""
        return None if token is None else self.owners.get(token)

    def session(self, session_id: str) -> tuple[Customer, Session]:
        """Find a session, whoever's it is."""
        for customer in self.customers.values():
            session = customer.find_session(session_id)
            if session is not None:
                return customer, session
        raise UnknownNameError(f"there is no session {session_id!r}")

    def select(self, customer: str, account: str) -> list[SimulatedAccount]:
        """Find accounts by an id, by a name that only one of them has, or by `*`: all."""
        accounts = self.customer(customer).accounts
        if account == "*":
            return list(accounts.values())
        if account in accounts:
            return [accounts[account]]
        named = [candidate for candidate in accounts.values() if candidate.name == account]
        if len(named) != 1:
            raise UnknownNameError(f"{len(named)} accounts of {customer!r} are {account!r}")
        return named

    def account(self, customer: str, account: str) -> SimulatedAccount:
        """Find one account by an id or a name."""
        accounts = self.select(customer, account)
        if len(accounts) != 1:
            raise ValueError(f"name one account, not {account!r}")
        return accounts[0]

    def as_json(self) -> dict[str, Any]:
        """Describe the state to the control API, where the assumptions are called knobs."""
        return {
            "now": timestamp(self.now()),
            "knobs": self.assumptions,
            "customers": list(self.customers.values()),
            "faults": self.faults.in_force,
        }

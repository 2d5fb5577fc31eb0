"""The Linked API client of one workspace: five calls, and no way to make any other.

A request takes its share of the workspace's budget, is over within `timeout`, body included, and
ends as a value or as an `ApiError` whose text may be shown to anyone.
"""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import replace
from enum import StrEnum
from functools import cache, partial
from typing import Final, TypeVar

import httpx

from monitor import __version__
from monitor.core.duration import Duration
from monitor.core.errors import ApiError
from monitor.core.model import Cause, Failure, Observation, Session, Skipped
from monitor.core.subscription import Subscription
from monitor.core.text import redact
from monitor.net.http import Client
from monitor.threads import Threads

from .budget import Budget
from .decode import Decoder, result_of
from .errors import ExchangeError, http_error, incomplete
from .settings import LinkedApiSettings
from .subscription import parse_seats, parse_subscription
from .token import Token
from .transport import MAX_BODY, exchange
from .wire import parse_session

Observe = Callable[[str, str, float], None]
T = TypeVar("T")


class BudgetExhaustedError(ApiError):
    """Our own share of the rate limit is used up; nothing was sent."""


class Method(StrEnum):
    """All that is ever called: the poll, how far a login is, a new link, what is paid for."""

    GET_ALL = "accounts.getAll"
    GET_SESSION = "accounts.getConnectionSession"
    CREATE_SESSION = "accounts.createReconnectionSession"
    GET_STATUS = "subscription.getStatus"
    GET_SEATS = "subscription.getSeats"


ACCOUNT_BODY: Final = 1024
"""How many bytes of a body an account may take, where all may have more than MAX_BODY."""

SHORT_BODY: Final = 256 * 1024
"""Bytes; a longer body is read on a thread."""

_HEADERS: Final = {
    "content-type": "application/json",
    "accept": "application/json",
    "accept-encoding": "gzip",
    "client": "linkedapi-monitor",
    "user-agent": f"linkedapi-monitor/{__version__}",
}

_PARSING: Final = Threads(1, "parse")
"""All workspaces' one: more would only take the processor from everything else."""

_RETRIED: Final = frozenset(Method) - {Method.CREATE_SESSION}  # each link voids the one before

_LAST: Final = (Method.GET_STATUS, Method.GET_SEATS)
"""What leaves room in the budget for all else."""

MAX_LEFT: Final = 10
"""How many requests these leave at the most, else a quarter of the budget."""


class LinkedApi:
    """Calls Linked API for one workspace; *observe* is given method, outcome and seconds.

    A *budget* that is given goes on: it is the share of the workspace, not of this client.
    """

    def __init__(
        self,
        *,
        http: Client,
        token: Token,
        settings: LinkedApiSettings,
        link_origins: tuple[str, ...],
        observe: Observe,
        monotonic: Callable[[], float],
        budget: Budget | None = None,
    ) -> None:
        self._http = http
        self.token = token
        self._settings = settings
        self._observe = observe
        self._monotonic = monotonic
        self._budget = budget or Budget(settings.requests_per_minute)
        self._decoder = Decoder(link_origins, max_accounts=settings.max_accounts)
        self._max_body = max(MAX_BODY, ACCOUNT_BODY * settings.max_accounts)

    async def get_all(self) -> Observation:
        """Fetch the accounts: a snapshot, or why there is none. Never raises."""
        try:
            return await self._call(
                Method.GET_ALL, None, lambda body, token: self._decoder.decode(body, secret=token)
            )
        except BudgetExhaustedError as error:
            return Skipped(error.retry_after or Duration(0))
        except ApiError as error:
            return Failure(error.cause, str(error), error.retry_after)

    async def create_reconnection_session(self, account_id: str) -> Session:
        """Create a reconnection session, which voids the link of the present one.

        Raise ApiError if there is none, or if it is unknown whether there is one (`ambiguous`).
        """

        def parse(body: bytes, token: str) -> Session:
            result = result_of(body, secret=token)
            session = parse_session(
                result.get("reconnectionSessionId"),
                result.get("reconnectionLink"),
                self._decoder.origins,
            )
            if session is None:
                raise incomplete("has no session")
            return session

        return await self._call(Method.CREATE_SESSION, {"accountId": account_id}, parse)

    async def get_connection_session(self, session_id: str) -> str:
        """Return the status of a session as the API writes it, or raise ApiError."""

        def parse(body: bytes, token: str) -> str:
            session = result_of(body, secret=token).get("session")
            status = session.get("status") if isinstance(session, dict) else None
            if not isinstance(status, str) or not (text := redact(status, limit=64, secret=token)):
                raise incomplete("has no session status")
            return text

        return await self._call(Method.GET_SESSION, {"sessionId": session_id}, parse)

    async def get_subscription(self) -> Subscription:
        """Return how the accounts are paid for, or raise ApiError.

        That there is no subscription is an answer. Seats that can't be asked for are left open.
        """
        try:
            subscription = await self._call(
                Method.GET_STATUS,
                None,
                lambda body, token: parse_subscription(result_of(body, secret=token)),
            )
        except ApiError as error:
            if error.cause is Cause.SUBSCRIPTION:
                return Subscription(None)
            raise
        if subscription.has_ended:
            return subscription
        with contextlib.suppress(ApiError):
            seats = await self._call(
                Method.GET_SEATS,
                None,
                lambda body, token: parse_seats(result_of(body, secret=token)),
            )
            subscription = replace(subscription, seats=seats)
        return subscription

    async def _call(
        self, method: Method, payload: dict[str, str] | None, parse: Callable[[bytes, str], T]
    ) -> T:
        """Send one request, or two where a retry can do no harm and may help at once."""
        deadline = asyncio.get_running_loop().time() + self._settings.timeout.seconds

        async def attempt(token: str) -> T:
            started = self._monotonic()
            try:
                response, body = await self._exchange(method, payload, token, deadline)
                if not response.is_success:
                    raise http_error(response.status_code, response.headers, body, secret=token)
                value = await _parse(parse, body, token)
            except ApiError as error:
                self._observe(method, _outcome(error), self._monotonic() - started)
                raise
            self._observe(method, "ok", self._monotonic() - started)
            return value

        token = self.token.text()
        if wait := self._take(method):
            raise BudgetExhaustedError(
                f"our own limit of {self._budget.per_minute} requests a minute is used up",
                cause=Cause.RATE_LIMITED,
                retry_after=wait,
            )
        try:
            return await attempt(token)
        except ApiError as error:
            if not self._may_retry(method, token, error) or self._take(method):
                raise
        return await attempt(self.token.text())

    def _take(self, method: Method) -> Duration:
        """Take a request for *method* from the budget, or return how long to wait for one."""
        left = min(MAX_LEFT, self._budget.per_minute // 4) if method in _LAST else 0
        return self._budget.take(self._monotonic(), leave=left)

    def _may_retry(self, method: Method, token: str, error: ApiError) -> bool:
        if method not in _RETRIED:
            return False
        if error.cause is Cause.TOKEN_REJECTED:
            return self.token.text() != token
        return isinstance(error, ExchangeError) and error.stale

    async def _exchange(
        self, method: Method, payload: dict[str, str] | None, token: str, deadline: float
    ) -> tuple[httpx.Response, bytes]:
        request = _request(f"{self._settings.base_url}/admin/{method}", payload, token)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(deadline):
                return await exchange(self._http, request, max_body=self._max_body)
        raise ExchangeError(f"did not answer within {self._settings.timeout}", outcome="timeout")


def _request(url: str, payload: dict[str, str] | None, token: str) -> httpx.Request:
    """Make a request; what all polls have in common is made once."""
    if payload is None:
        common = _common_request(url)
        request = httpx.Request("POST", common.url, headers=common.headers, stream=common.stream)
        request.read()
    else:
        request = httpx.Request("POST", url, headers=_HEADERS, json=payload)
    request.headers["linked-api-token"] = token
    request.headers.encoding = "ascii"
    return request


@cache
def _common_request(url: str) -> httpx.Request:
    return httpx.Request("POST", url, headers=_HEADERS)


async def _parse(parse: Callable[[bytes, str], T], body: bytes, token: str) -> T:
    """Let *parse* read a *body*, a long one on a thread: nobody else waits for it."""
    if len(body) <= SHORT_BODY:
        return parse(body, token)
    return await _PARSING.run(partial(parse, body, token))


def _outcome(error: ApiError) -> str:
    if isinstance(error, ExchangeError):
        return error.outcome
    return "http_error" if error.type is None else "api_error"

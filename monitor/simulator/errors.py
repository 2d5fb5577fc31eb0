"""The errors of the API and the HTTP status of each."""

from dataclasses import dataclass
from typing import TypeAlias

from .assumptions import Assumptions

Headers: TypeAlias = tuple[tuple[str, str], ...]


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

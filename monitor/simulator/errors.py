"""The errors of the API and the HTTP status of each."""

from typing import Final, Literal, TypeAlias

from .knobs import Knobs

ErrorType: TypeAlias = Literal[
    "linkedApiTokenRequired",
    "invalidLinkedApiToken",
    "accountIdRequired",
    "accountNotFound",
    "sessionNotFound",
    "tooManyRequests",
    "invalidRequestPayload",
    "noAvailableSeats",
    "dailyConnectionAttemptsExceeded",
    "subscriptionRequired",
]

DOCUMENTED: Final[dict[str, int]] = {
    "linkedApiTokenRequired": 401,
    "invalidLinkedApiToken": 401,
    "accountIdRequired": 401,
    "accountNotFound": 401,
    "sessionNotFound": 404,
    "tooManyRequests": 429,
}


class ApiError(Exception):
    """A call is refused; *type* is the contract, *message* only text."""

    def __init__(
        self, error_type: ErrorType, message: str, headers: tuple[tuple[str, str], ...] = ()
    ) -> None:
        super().__init__(message)
        self.type = error_type
        self.message = message
        self.headers = headers

    def status(self, knobs: Knobs) -> int:
        """Say the HTTP status of this error; *knobs* decide where the documentation does not."""
        undocumented = {
            "invalidRequestPayload": knobs.invalid_payload_status,
            "noAvailableSeats": knobs.no_seats_status,
            "dailyConnectionAttemptsExceeded": knobs.attempts_status,
            "subscriptionRequired": knobs.no_subscription_status,
        }
        return (DOCUMENTED | undocumented)[self.type]

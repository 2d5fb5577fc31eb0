"""What the documentation of Linked API leaves open: one assumption for each question.

The defaults are the likeliest answers. A client is right when it works under every assumption.
"""

from dataclasses import dataclass, fields
from typing import Any, Final, Literal, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError

HOUR: Final = 3600.0
MAX_NUMBER: Final = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumptions:
    """The undocumented behaviour of the API; durations are seconds."""

    # the rate limit: so many requests in a window, per token or of all together
    rate_limit: int = 100
    rate_window: float = 60.0
    rate_counting: Literal["sliding", "fixed"] = "sliding"
    rate_scope: Literal["token", "all"] = "token"
    rate_counts_rejected: bool = False
    retry_after: bool = False  # a refusal carries the header

    # sessions: how long they last, how long one that is over can be asked for, their `type`
    pending_ttl: float = 24 * HOUR
    progress_ttl: float = HOUR / 4
    session_retention: float = 7 * 24 * HOUR
    connection_type: str = "initial"
    reconnection_type: str = "reconnection"
    get_all_creates_sessions: bool = True  # as documented; False shows accounts without a link
    reconnections_listed: bool = False  # in `pendingConnectionSessions`
    second_cancel_fails: bool = False
    opening_starts_session: bool = True  # GET of the login page: from pending to serving

    # after a login: polls that still show the account signed out, each with a new session
    lag_polls: int = 0
    lag_opens_session: bool = True
    reconnection_moves_connected_at: bool = False

    # connection attempts in 24 hours; reconnections may count, those that `getAll` opens too
    daily_attempts: int = 20
    reconnections_count: bool = False
    auto_sessions_count: bool = False

    # seats: how soon a change shows, which accounts freeze first, whether and when they thaw
    freeze_delay: float = 0.0
    freeze_picks: Literal["newest", "oldest"] = "newest"
    thaws: bool = True
    ended_freezes: bool = True  # when the subscription is over
    past_due_freezes: bool = False
    every_account_takes_seat: bool = False  # those that are not active too
    get_all_needs_subscription: bool = False
    status_null: bool = False  # no subscription is written as null instead of left out

    # answers: HTTP statuses of undocumented error types, bodies that are accepted
    invalid_payload_status: int = 400
    no_seats_status: int = 400
    attempts_status: int = 429
    no_subscription_status: int = 403
    accept_null_body: bool = True  # from a call without parameters, as the next one
    accept_object_body: bool = True
    require_content_type: bool = False
    void_result: bool = True  # an empty result is sent as `{}` instead of left out
    link_base: str = "https://app.linkedapi.io/connection/"

    def __post_init__(self) -> None:
        """Refuse values of another type, and absurd numbers."""
        check_types(self)
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, int | float) and not 0 <= value < MAX_NUMBER:
                raise ValueError(f"{field.name} has to be from 0 to {MAX_NUMBER}")


def check_types(values: Any) -> None:
    """Raise ValueError if a field of the dataclass *values* is of another type than declared."""
    for name, hint in get_type_hints(type(values)).items():
        if not fits(value := getattr(values, name), hint):
            raise ValueError(f"{name} cannot be {value!r:.80}")


def fits(value: object, hint: Any) -> bool:
    """Tell whether *value*, as JSON has it, fits the type *hint*; a whole number is a float."""
    try:
        TypeAdapter(hint, config=ConfigDict(strict=True)).validate_python(value)
    except ValidationError:
        return False
    return True

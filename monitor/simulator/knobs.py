"""What the documentation of Linked API leaves open, one knob for each question.

The defaults are the likeliest answers. A client is right when it works whatever the knobs say.
"""

from dataclasses import dataclass, fields
from typing import Any, Literal, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError

HOUR = 3600.0
LARGE = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Knobs:
    """The undocumented behaviour of the API; spans are seconds.

    The limit of requests: *rate_limit* calls in *rate_window* seconds, counted as *rate_counting*
    and per *rate_scope*; *rate_counts_rejected* says whether refused calls count, *retry_after*
    whether a refusal carries the header.

    Sessions: *pending_ttl* and *progress_ttl* are their lifetimes, *session_retention* how long a
    finished one is remembered, *connection_type* and *reconnection_type* their `type`.
    *get_all_creates_sessions* is documented, switch it off to see accounts without a link;
    *reconnections_listed* puts reconnection sessions into `pendingConnectionSessions`;
    *second_cancel_fails* refuses to cancel what is over; *opening_starts_session* lets a look at
    the session's page move it from pending to serving.

    After a login: *lag_polls* polls still show the account signed out, with a fresh session each
    time if *lag_opens_session*; *reconnection_moves_connected_at* sets a new `connectedAt`.

    *daily_attempts* limits connection attempts in 24 hours; *reconnections_count* and
    *auto_sessions_count* say whether reconnections, asked for or made by `getAll`, are among them.

    What is paid for: *freeze_delay* passes before a change of seats or subscription shows,
    *freeze_picks* says which accounts freeze first, *thaws* whether they come back by themselves;
    accounts freeze when seats go, and also when the subscription is over (*ended_freezes*) or not
    paid in time (*past_due_freezes*). *every_account_takes_seat* counts those that do not work
    when a new one asks for a seat, *get_all_needs_subscription* refuses the list without one,
    *status_null* writes a missing subscription as null instead of leaving it out.

    Answers: *invalid_payload_status*, *no_seats_status*, *attempts_status* and
    *no_subscription_status* are HTTP codes of undocumented types; *accept_null_body* and
    *accept_object_body* say what a call without parameters may carry instead of nothing;
    *require_content_type* refuses other bodies than JSON ones; *void_result* sends `result: {}`
    where there is nothing to tell. Links start with *link_base*.
    """

    rate_limit: int = 100
    rate_window: float = 60.0
    rate_counting: Literal["sliding", "fixed"] = "sliding"
    rate_scope: Literal["token", "all"] = "token"
    rate_counts_rejected: bool = False
    retry_after: bool = False
    pending_ttl: float = 24 * HOUR
    progress_ttl: float = HOUR / 4
    session_retention: float = 7 * 24 * HOUR
    connection_type: str = "initial"
    reconnection_type: str = "reconnection"
    get_all_creates_sessions: bool = True
    reconnections_listed: bool = False
    second_cancel_fails: bool = False
    opening_starts_session: bool = True
    lag_polls: int = 0
    lag_opens_session: bool = True
    reconnection_moves_connected_at: bool = False
    daily_attempts: int = 20
    reconnections_count: bool = False
    auto_sessions_count: bool = False
    freeze_delay: float = 0.0
    freeze_picks: Literal["newest", "oldest"] = "newest"
    thaws: bool = True
    ended_freezes: bool = True
    past_due_freezes: bool = False
    every_account_takes_seat: bool = False
    get_all_needs_subscription: bool = False
    status_null: bool = False
    invalid_payload_status: int = 400
    no_seats_status: int = 400
    attempts_status: int = 429
    no_subscription_status: int = 403
    accept_null_body: bool = True
    accept_object_body: bool = True
    require_content_type: bool = False
    void_result: bool = True
    link_base: str = "https://app.linkedapi.io/connection/"

    def __post_init__(self) -> None:
        """Refuse values of another type, and absurd numbers."""
        hints = get_type_hints(type(self))
        for field in fields(self):
            value = getattr(self, field.name)
            if not fits(value, hints[field.name]):
                raise ValueError(f"{field.name} cannot be {value!r}")
            if isinstance(value, int | float) and not 0 <= value < LARGE:
                raise ValueError(f"{field.name} has to be from 0 to {LARGE}")


def fits(value: object, hint: Any) -> bool:
    """Tell whether *value*, as JSON has it, fits the type *hint*; a whole number is a float."""
    try:
        TypeAdapter(hint, config=ConfigDict(strict=True)).validate_python(value)
    except ValidationError:
        return False
    return True

"""The admin API: from a call to its answer, with every check in the order of the real one.

A call is of a method that exists (404), has a token (401), the right one (401), is within the rate
limit (429), has a readable body, and only then takes effect.
"""

import json
from dataclasses import asdict, dataclass
from typing import Any, Final

from .assumptions import Assumptions
from .endpoints import ENDPOINTS, WITHOUT_PARAMETERS, ApiError, Headers
from .state import Customer, State

JSON: Final = ("content-type", "application/json; charset=utf-8")


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request as it came in."""

    path: str
    verb: str = "POST"
    token: str | None = None
    content_type: str = ""
    body: bytes = b""

    @property
    def method(self) -> str:
        """The last part of the path (`accounts.getAll`), or a path that is none of the API's."""
        return self.path.removeprefix("/admin/")


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back."""

    status: int
    body: bytes
    headers: Headers = (JSON,)


def encode(value: Any) -> bytes:
    """Write JSON as servers do: compact, in UTF-8; objects by their `as_json` or their fields."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=_described)
    return text.encode("utf-8", "surrogatepass")


def _described(item: Any) -> Any:
    return item.as_json() if hasattr(item, "as_json") else asdict(item)


def answer(state: State, call: Call) -> Answer:
    """Answer *call* and let it take effect."""
    method = ENDPOINTS.get(call.method)
    if call.verb != "POST" or method is None:
        # as a framework does for a path without a route: JSON, but not the envelope
        message = f"Cannot {call.verb} {call.path}"
        return Answer(404, encode({"message": message, "error": "Not Found", "statusCode": 404}))
    try:
        customer = _authenticate(state, call.token)
        expected = method not in WITHOUT_PARAMETERS
        parameters = _parameters(call, state.assumptions, expected=expected)
        customer.freeze_and_thaw()
        result = method(customer, parameters)
    except ApiError as error:
        problem = {"type": error.type, "message": error.message}
        body = encode({"success": False, "error": problem})
        return Answer(error.status(state.assumptions), body, (JSON, *error.headers))
    envelope = {"success": True, "result": result}
    if result == {} and not state.assumptions.void_result:
        del envelope["result"]
    return Answer(200, encode(envelope))


def body_keys(body: bytes) -> tuple[str, ...]:
    """Name the parameters of a body, without their values."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return ()
    return tuple(sorted(value)) if isinstance(value, dict) else ()


def _authenticate(state: State, token: str | None) -> Customer:
    if not token:
        raise ApiError("linkedApiTokenRequired", "The linked-api-token header is required.")
    customer = state.owner(token)
    if customer is None:
        raise ApiError("invalidLinkedApiToken", "The linked-api-token is not valid.")
    seconds = state.rate_limiter.wait(customer.name, state.assumptions, state.now())
    if seconds is None:
        return customer
    retry_after = ("retry-after", str(max(1, round(seconds))))
    headers = (retry_after,) if state.assumptions.retry_after else ()
    raise ApiError("tooManyRequests", "Too many requests, slow down.", headers)


def _parameters(call: Call, assumptions: Assumptions, *, expected: bool) -> dict[str, Any]:
    if assumptions.require_content_type and not call.content_type.startswith("application/json"):
        raise ApiError("invalidRequestPayload", "The Content-Type has to be application/json.")
    try:
        value = json.loads(call.body) if call.body.strip() else None
    except (ValueError, RecursionError):
        raise ApiError("invalidRequestPayload", "The body is not JSON.") from None
    accepted = value is None or isinstance(value, dict)
    if not expected and call.body.strip():  # no body at all is the official form, and always right
        empty = assumptions.accept_null_body if value is None else assumptions.accept_object_body
        accepted = accepted and empty
    if not accepted:
        raise ApiError("invalidRequestPayload", "The body is not what this method takes.")
    return value or {}

"""The admin API: from a call to its answer, with every check in the order of the real one.

A call is known or not (404), has a token (401), the right one (401), is within the limit (429), has
a readable body, and only then does what it says.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from . import accounts, subscription
from .errors import ApiError
from .model import Customer
from .world import World

Headers: TypeAlias = tuple[tuple[str, str], ...]
Act: TypeAlias = Callable[[World, Customer, dict[str, Any]], Any]
JSON: Final = ("content-type", "application/json; charset=utf-8")


@dataclass(frozen=True, slots=True)
class Call:
    """A request as it came in; *method* is the last part of the path (`accounts.getAll`)."""

    verb: str
    path: str
    method: str
    token: str | None
    content_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back."""

    status: int
    body: bytes
    headers: Headers = (JSON,)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What a method does, and whether it takes parameters."""

    act: Act
    has_parameters: bool


def _alone(act: Act) -> Endpoint:
    return Endpoint(act, has_parameters=False)


def _with(act: Act) -> Endpoint:
    return Endpoint(act, has_parameters=True)


ENDPOINTS: Final = {
    "accounts.getAll": _alone(accounts.get_all),
    "accounts.createConnectionSession": _alone(accounts.create_connection),
    "accounts.createReconnectionSession": _with(accounts.create_reconnection),
    "accounts.getConnectionSession": _with(accounts.get_session),
    "accounts.cancelConnectionSession": _with(accounts.cancel_session),
    "accounts.reparseAccountInfo": _with(accounts.reparse),
    "accounts.regenerateIdentificationToken": _with(accounts.regenerate_token),
    "accounts.disconnect": _with(accounts.disconnect),
    "subscription.getStatus": _alone(subscription.get_status),
    "subscription.getSeats": _alone(subscription.get_seats),
    "subscription.setSeats": _with(subscription.set_seats),
}


def encode(value: Any) -> bytes:
    """Write JSON as servers do: compact, in UTF-8."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "surrogatepass")


def answer(world: World, call: Call) -> Answer:
    """Answer *call* and let it take effect."""
    endpoint = ENDPOINTS.get(call.method)
    if call.verb != "POST" or endpoint is None or call.path != f"/admin/{call.method}":
        return not_found(call)
    try:
        customer = _authenticated(world, call.token)
        parameters = _parameters(world, call, endpoint)
        subscription.review(customer, world.knobs, world.now())
        result = endpoint.act(world, customer, parameters)
    except ApiError as error:
        problem = {"type": error.type, "message": error.message}
        body = encode({"success": False, "error": problem})
        return Answer(error.status(world.knobs), body, (JSON, *error.headers))
    envelope = {"success": True, "result": result}
    if result == {} and not world.knobs.void_result:
        del envelope["result"]
    return Answer(200, encode(envelope))


def not_found(call: Call) -> Answer:
    """Answer as a framework does for a path it has no route for: JSON, but not the envelope."""
    message = f"Cannot {call.verb} {call.path}"
    return Answer(404, encode({"message": message, "error": "Not Found", "statusCode": 404}))


def body_keys(body: bytes) -> tuple[str, ...]:
    """Name the parameters of a body, without their values."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return ()
    return tuple(sorted(value)) if isinstance(value, dict) else ()


def _authenticated(world: World, token: str | None) -> Customer:
    if not token:
        raise ApiError("linkedApiTokenRequired", "The linked-api-token header is required.")
    customer = world.owner(token)
    if customer is None:
        raise ApiError("invalidLinkedApiToken", "The linked-api-token is not valid.")
    seconds = world.limiter.wait(customer.name, world.knobs, world.now())
    if seconds is None:
        return customer
    waiting = (("retry-after", str(max(1, round(seconds)))),) if world.knobs.retry_after else ()
    raise ApiError("tooManyRequests", "Too many requests, slow down.", waiting)


def _parameters(world: World, call: Call, endpoint: Endpoint) -> dict[str, Any]:
    knobs = world.knobs
    if knobs.require_content_type and not call.content_type.startswith("application/json"):
        raise ApiError("invalidRequestPayload", "The Content-Type has to be application/json.")
    try:
        value = json.loads(call.body) if call.body.strip() else None
    except (ValueError, RecursionError):
        raise ApiError("invalidRequestPayload", "The body is not JSON.") from None
    if value is None:  # no body at all is the official form, and always right
        accepted = knobs.accept_null_body or not call.body.strip()
    else:
        accepted = isinstance(value, dict) and knobs.accept_object_body
    if endpoint.has_parameters:
        accepted = value is None or isinstance(value, dict)
    if not accepted:
        raise ApiError("invalidRequestPayload", "The body is not what this method takes.")
    return value or {}

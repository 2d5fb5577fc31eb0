"""The control API: everything that `Simulator` can do, over HTTP in JSON.

`POST /control/<action>` with the action's parameters as an object, `GET /control/state`,
`GET` and `DELETE /control/requests`. Answers are `{"result": …}`, or `{"error": "…"}` with 400 for
parameters that do not fit and 404 for things that do not exist. None of them holds a token.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import singledispatch
from typing import Any, TypeAlias

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route, Router
from starlette.types import Receive, Scope, Send

from .api import encode
from .faults import Fault
from .knobs import Knobs
from .model import Customer, Session, SimulatedAccount, Subscription, timestamp
from .world import UnknownNameError, World

Perform: TypeAlias = Callable[[str, Mapping[str, Any]], object]


class Reply(Response):
    """A JSON response that can hold all that Python's JSON can, odd payloads included."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """Write *content* down."""
        return encode(content)


def control(world: World, perform: Perform) -> Mount:
    """Make the routes below `/control`; *perform* carries out an action by its name."""

    async def state(_: Request) -> Reply:
        return Reply({"result": describe(world)})

    async def requests(request: Request) -> Reply:
        journal = world.journal
        if request.method == "DELETE":
            journal.clear()
        since = request.query_params.get("since", "0")
        if not since.isdecimal():
            return _problem("since has to be a number", status=400)
        entries = [entry.as_json() for entry in journal.entries if entry.n > int(since)]
        return Reply({"result": {"requests": entries, "counts": dict(journal.counts)}})

    async def act(request: Request) -> Reply:
        try:
            parameters = json.loads(await request.body() or b"{}")
            if not isinstance(parameters, dict):
                return _problem("the body has to be an object", status=400)
            result = perform(request.path_params["action"], parameters)
        except UnknownNameError as error:
            return _problem(str(error), status=404)
        except (ValueError, ArithmeticError, RecursionError) as error:
            return _problem(str(error), status=400)
        return Reply({"result": describe(result)})

    routes = [
        Route("/state", state, methods=["GET"]),
        Route("/requests", requests, methods=["GET", "DELETE"]),
        Route("/{action}", act, methods=["POST"]),
    ]
    return Mount("/control", Router(routes, redirect_slashes=False, default=_nothing_here))


def _problem(text: str, *, status: int) -> Reply:
    return Reply({"error": text}, status)


async def _nothing_here(scope: Scope, receive: Receive, send: Send) -> None:
    problem = _problem(f"there is nothing at {scope['path']}", status=404)
    await problem(scope, receive, send)


@singledispatch
def describe(value: object) -> Any:
    """Describe *value* in JSON's terms."""
    return value


@describe.register(list)
def _(values: list[object]) -> Any:
    return [describe(value) for value in values]


@describe.register
def _(knobs: Knobs) -> Any:
    return asdict(knobs)


@describe.register
def _(account: SimulatedAccount) -> Any:
    return {
        "id": account.id,
        "name": account.name,
        "url": account.url,
        "country": account.country,
        "status": account.status.value,
        "connected_at": timestamp(account.connected_at),
        "session_id": account.session_id,
        "settling": account.settling,
        "hidden": account.hidden,
        "patch": account.patch,
        "without": sorted(account.without),
    }


@describe.register
def _(session: Session) -> Any:
    return {
        "id": session.id,
        "type": session.type,
        "status": session.status.value,
        "account_id": session.account_id,
        "created_at": timestamp(session.created_at),
        "changed_at": timestamp(session.changed_at),
    }


@describe.register
def _(subscription: Subscription) -> Any:
    return {
        "status": subscription.status,
        "eligible_for_trial": subscription.eligible_for_trial,
        "cancel_at_period_end": subscription.cancel_at_period_end,
        "seats": {f"{kind} {period}": n for (kind, period), n in subscription.seats.items()},
    }


@describe.register
def _(customer: Customer) -> Any:
    return {
        "name": customer.name,
        "subscription": describe(customer.subscription),
        "accounts": [describe(account) for account in customer.accounts.values()],
        "sessions": [describe(session) for session in customer.sessions.values()],
    }


@describe.register
def _(fault: Fault) -> Any:
    body = None if fault.body is None else fault.body.decode("utf-8", "replace")
    return asdict(fault) | {"body": body, "headers": dict(fault.headers)}


@describe.register
def _(world: World) -> Any:
    return {
        "now": timestamp(world.now()),
        "knobs": describe(world.knobs),
        "customers": [describe(customer) for customer in world.customers.values()],
        "faults": describe(world.faults.in_force),
    }

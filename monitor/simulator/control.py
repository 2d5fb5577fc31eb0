"""The control API: everything that `Simulator` can do, over HTTP in JSON.

`POST /control/<action>` with the action's parameters as an object, `GET /control/state`,
`GET` and `DELETE /control/requests`. Answers are `{"result": …}`, or `{"error": "…"}` with 400 for
parameters that do not fit and 404 for things that do not exist. None of them holds a token.
"""

import json
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route, Router
from starlette.types import Receive, Scope, Send

from .actions import Simulator, bind_action
from .api import encode
from .state import UnknownNameError


def control(simulator: Simulator) -> Mount:
    """Make the routes below `/control`."""

    async def state(_: Request) -> Response:
        return _json({"result": simulator.as_json()})

    async def requests(request: Request) -> Response:
        log = simulator.request_log
        if request.method == "DELETE":
            log.clear()
        since = request.query_params.get("since", "0")
        if not since.isdecimal():
            return _problem("since has to be a number", status=400)
        later = [logged for logged in log.requests if logged.n > int(since)]
        return _json({"result": {"requests": later, "counts": log.counts}})

    async def perform(request: Request) -> Response:
        try:
            parameters = json.loads(await request.body() or b"{}")
            if not isinstance(parameters, dict):
                return _problem("the body has to be an object", status=400)
            result = bind_action(simulator, request.path_params["action"], parameters)()
        except UnknownNameError as error:
            return _problem(str(error), status=404)
        except (ValueError, ArithmeticError, RecursionError) as error:
            return _problem(str(error), status=400)
        return _json({"result": result})

    routes = [
        Route("/state", state, methods=["GET"]),
        Route("/requests", requests, methods=["GET", "DELETE"]),
        Route("/{action}", perform, methods=["POST"]),
    ]
    return Mount("/control", Router(routes, redirect_slashes=False, default=_nothing_here))


def _json(content: Any, status: int = 200) -> Response:
    """Answer all that Python's JSON can hold, odd payloads included."""
    return Response(encode(content), status, media_type="application/json")


def _problem(text: str, *, status: int) -> Response:
    return _json({"error": text}, status)


async def _nothing_here(scope: Scope, receive: Receive, send: Send) -> None:
    problem = _problem(f"there is nothing at {scope['path']}", status=404)
    await problem(scope, receive, send)

"""Where requests arrive: noted in the journal, met by faults, answered by the API."""

from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive, Scope, Send

from .api import Call, answer, body_keys
from .wire import deliver, replaced
from .world import World


class Edge:
    """The ASGI application of everything that is neither control nor a session's page."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive)
        try:
            body = await request.body()
        except ClientDisconnect:
            return
        path: str = scope["path"]
        token = request.headers.get("linked-api-token", "").strip() or None
        call = Call(
            verb=request.method,
            path=path,
            method=path.removeprefix("/admin/"),
            token=token,
            content_type=request.headers.get("content-type", ""),
            body=body,
        )
        owner = self._world.owner(token)
        name = None if owner is None else owner.name
        entry = self._world.journal.record(
            at=self._world.now(),
            verb=call.verb,
            method=call.method,
            customer=name,
            token_sent=token is not None,
            client=request.headers.get("client"),
            body_keys=body_keys(body),
        )
        fault = self._world.faults.meet(name, call.method)
        executed = answer(self._world, call) if fault is None or fault.executes else None
        given = executed if fault is None else replaced(executed, fault)
        assert given is not None
        entry.fault = None if fault is None else fault.kind
        if await deliver(given, fault, scope, receive, send):
            entry.status = given.status

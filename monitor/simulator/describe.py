"""How the control API tells what is in the world. Tokens are left out."""

from dataclasses import asdict
from functools import singledispatch
from typing import Any

from .faults import Fault
from .knobs import Knobs
from .model import Customer, Session, SimulatedAccount, timestamp
from .world import World


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
def _(customer: Customer) -> Any:
    return {
        "name": customer.name,
        "seats": customer.seats,
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

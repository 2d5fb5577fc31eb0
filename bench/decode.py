"""Decoding a list of 1,000 accounts and comparing it with what is recorded."""

import json
from collections.abc import Sequence
from functools import partial
from typing import Final

import msgspec

from monitor.core.decide import decide
from monitor.core.decide.accounts import is_quiet
from monitor.core.diff import Quiet, diff
from monitor.core.inventory import Inventory
from monitor.core.model import Workspace
from monitor.core.policy import IncidentPolicy
from monitor.simulator import Simulator
from monitor.simulator.api import Call, answer
from monitor.source.decode import Decoder

from .measure import cpu_seconds, format_bytes, format_seconds, median_ratio
from .table import Row

ACCOUNTS: Final = 1000
LIMIT: Final = 2.0
ORIGINS: Final = ("https://app.linkedapi.io",)
TOKEN: Final = "linked_measured"  # noqa: S105 - opens nothing


class BareAccount(msgspec.Struct, gc=False, rename="camel"):
    """The seven fields that are needed of an account."""

    id: str
    status: str
    name: str | None = None
    url: str | None = None
    country_code: str | None = None
    reconnection_session_id: str | None = None
    reconnection_link: str | None = None


class BareResult(msgspec.Struct):
    """What a response holds."""

    accounts: list[BareAccount]


class BareResponse(msgspec.Struct):
    """A response of `accounts.getAll`."""

    success: bool
    result: BareResult


def rows(*, quick: bool) -> Sequence[Row]:
    """Measure all of it."""
    runs = 50 if quick else 300
    simulator = Simulator()
    simulator.add_customer("measured", TOKEN)
    ids = [account.id for account in simulator.add_accounts("measured", ACCOUNTS)]
    unchanged = list_accounts(simulator)
    for id_ in ids[: ACCOUNTS // 100]:
        simulator.freeze("measured", id_)
    one_percent = list_accounts(simulator)
    simulator.freeze("measured", "*")
    everything = list_accounts(simulator)

    bare = msgspec.json.Decoder(BareResponse)
    poll = _Poll(unchanged)
    comparisons = []
    for what, body in (("nothing", unchanged), ("1 %", one_percent), ("everything", everything)):
        theirs, ours = [], []
        for _ in range(runs):
            poll.decode(unchanged)  # what the last poll saw
            theirs.append(cpu_seconds(partial(bare.decode, body)))
            ours.append(cpu_seconds(partial(poll.decode, body)))
        comparisons.append(
            Row(
                f"decode + diff, {what} changed since the last poll",
                format_seconds(ours),
                median_ratio(ours, theirs),
                LIMIT,
                f"bare msgspec decode {format_seconds(theirs)}",
            )
        )
    theirs = [cpu_seconds(lambda: bare.decode(unchanged)) for _ in range(runs)]
    generic = [cpu_seconds(lambda: json.loads(unchanged)) for _ in range(runs)]
    comparisons.append(
        Row(
            "json.loads, for comparison",
            format_seconds(generic),
            median_ratio(generic, theirs),
            beside="the same",
        )
    )
    return [
        Row(
            f"the answer: {ACCOUNTS} accounts as the simulator lists them",
            format_bytes(len(unchanged)),
        ),
        *comparisons,
    ]


class _Poll:
    """The part of a poll that reads the list, after a first poll that read *body*."""

    def __init__(self, body: bytes) -> None:
        policy = IncidentPolicy()
        self._decoder = Decoder(ORIGINS)
        snapshot = self._decoder.decode(body)
        changes = diff(Workspace("measured"), snapshot)
        decision = decide(
            Workspace("measured"),
            changes,
            {},
            {},
            policy=policy,
            inventory=Inventory(),
            create=True,
            scheduled=True,
            now=0,
            new_id=str,
        )
        assert decision.workspace is not None
        self._workspace = decision.workspace
        accounts = self._workspace.accounts
        assert all(is_quiet(account, policy) for account in accounts.values())
        self._quiet = Quiet(snapshot)

    def decode(self, body: bytes) -> object:
        """Read *body* and compare it with what is recorded."""
        return diff(self._workspace, self._decoder.decode(body), self._quiet)


def list_accounts(simulator: Simulator) -> bytes:
    """Return what `accounts.getAll` answers to whoever has TOKEN."""
    return ask(simulator, "accounts.getAll")


def ask(simulator: Simulator, method: str) -> bytes:
    """Return what *method* answers to whoever has TOKEN."""
    return answer(simulator, Call(path=f"/admin/{method}", token=TOKEN)).body

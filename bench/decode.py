"""Reading a list of 1,000 accounts and finding out what is new in it."""

import json
from collections.abc import Sequence
from functools import partial
from typing import Final

import msgspec

from monitor.core.decide import decide, is_settled
from monitor.core.diff import diff
from monitor.core.model import Workspace
from monitor.core.policy import Policy
from monitor.simulator import Simulator
from monitor.simulator.api import Call, answer
from monitor.source.decode import Decoder

from .measure import cpu, ratio, seconds, size
from .table import Row

ACCOUNTS: Final = 1000
LIMIT: Final = 2.0
ORIGINS: Final = ("https://app.linkedapi.io",)
TOKEN: Final = "linked_measured"  # noqa: S105 - opens nothing


class Bare(msgspec.Struct, gc=False, rename="camel"):
    """The seven fields that are needed of an account."""

    id: str
    status: str
    name: str | None = None
    url: str | None = None
    country_code: str | None = None
    reconnection_session_id: str | None = None
    reconnection_link: str | None = None


class BareResult(msgspec.Struct):
    """What an answer holds."""

    accounts: list[Bare]


class BareAnswer(msgspec.Struct):
    """An answer of `accounts.getAll`."""

    success: bool
    result: BareResult


def rows(*, quick: bool) -> Sequence[Row]:
    """Measure all of it."""
    runs = 50 if quick else 300
    simulator = Simulator()
    simulator.add_customer("measured", TOKEN)
    ids = [one.id for one in simulator.add_accounts("measured", ACCOUNTS)]
    before = _body(simulator)
    for id_ in ids[: ACCOUNTS // 100]:
        simulator.freeze("measured", id_)
    some = _body(simulator)
    simulator.freeze("measured", "*")
    everything = _body(simulator)

    bare = msgspec.json.Decoder(BareAnswer)
    poll = _Poll(before)
    found = []
    for what, body in (("nothing", before), ("1 %", some), ("everything", everything)):
        theirs, ours = [], []
        for _ in range(runs):
            poll.decode(before)  # what the last poll saw
            theirs.append(cpu(partial(bare.decode, body)))
            ours.append(cpu(partial(poll.decode, body)))
        found.append(
            Row(
                f"decode + diff, {what} changed since the last poll",
                seconds(ours),
                ratio(ours, theirs),
                LIMIT,
                f"bare msgspec decode {seconds(theirs)}",
            )
        )
    theirs = [cpu(lambda: bare.decode(before)) for _ in range(runs)]
    plain = [cpu(lambda: json.loads(before)) for _ in range(runs)]
    found.append(
        Row("json.loads, for comparison", seconds(plain), ratio(plain, theirs), beside="the same")
    )
    return [
        Row(f"the answer: {ACCOUNTS} accounts as the simulator lists them", size(len(before))),
        *found,
    ]


class _Poll:
    """The part of a poll that is about the list, after a first look at *body*."""

    def __init__(self, body: bytes) -> None:
        policy = Policy()
        self._decoder = Decoder(ORIGINS)
        snapshot = self._decoder.read(body)
        changes = diff(Workspace("measured"), snapshot, {})
        decision = decide(
            Workspace("measured"),
            changes,
            {},
            policy=policy,
            create=True,
            scheduled=True,
            now=0,
            new_id=str,
        )
        self._workspace = decision.workspace
        self._settled = {
            one.id: one
            for one in snapshot.accounts
            if is_settled(self._workspace.accounts[one.id], policy, create=True)
        }

    def decode(self, body: bytes) -> object:
        """Read *body* and compare it with what is recorded."""
        return diff(self._workspace, self._decoder.read(body), self._settled)


def _body(simulator: Simulator) -> bytes:
    return answer(simulator, Call(path="/admin/accounts.getAll", token=TOKEN)).body

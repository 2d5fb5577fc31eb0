"""The response to `accounts.getAll` → a snapshot, or why there is none.

A typed decode of the whole body comes first: it takes half a millisecond for a thousand accounts
and never creates what we do not need. Only if it fails is the body read leniently, account by
account, so that one odd account never hides the others.

An unchanged account gives the same `ListedAccount` object as the last time, an unchanged list the
same snapshot: comparing what was sent costs a fifth of building it anew.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from itertools import zip_longest
from typing import Any, Final

import msgspec

from monitor.core.model import ListedAccount, Snapshot, Status
from monitor.core.text import redact

from .errors import api_error, incomplete, unexpected
from .settings import MAX_ACCOUNTS
from .wire import WireAccount, lenient, loads, origin, parse_account

MAX_WARNINGS: Final = 20
MAX_WARNING: Final = 200

_WORST_LAST: Final = (Status.ACTIVE, Status.UNKNOWN, Status.FROZEN, Status.RECONNECTION_REQUIRED)


class _Result(msgspec.Struct):
    accounts: list[WireAccount]


class _Envelope(msgspec.Struct):
    success: bool
    result: _Result


_TYPED: Final = msgspec.json.Decoder(_Envelope)


class Decoder:
    """Reads the account lists of one workspace and remembers the last one.

    *origins* are those that links may have, as `wire.origin` spells them. A list of more than
    *max_accounts* is not read.
    """

    def __init__(self, link_origins: Iterable[str], *, max_accounts: int = MAX_ACCOUNTS) -> None:
        self._max_accounts = max_accounts
        self.origins = _origins(tuple(link_origins))
        self._wires: list[WireAccount | None] = []
        self._listed: list[ListedAccount | None] = []  # one for each of these
        self._odd: dict[int, str] = {}  # warnings, by the place of the account
        self._snapshot: Snapshot | None = None

    def decode(self, body: bytes, *, secret: str = "") -> Snapshot:
        """Turn *body* into a snapshot, or raise ApiError; *secret* is masked in all texts."""
        wires = _wire_accounts(body, secret)
        if len(wires) > self._max_accounts:
            raise incomplete(
                f"lists {len(wires)} accounts, more than linked_api.max_accounts"
                f" ({self._max_accounts}) allows"
            )
        if self._snapshot is not None and wires == self._wires:
            return self._snapshot
        self._read(wires)
        accounts = _by_id(self._listed)
        self._snapshot = Snapshot(
            tuple(accounts.values()),
            tuple(
                redact(warning, limit=MAX_WARNING, secret=secret)
                for warning in _warnings(self._listed, accounts, self._odd)
            ),
        )
        return self._snapshot

    def _read(self, wires: Sequence[WireAccount | None]) -> None:
        """Parse the accounts that differ from the last time; keep what there is of the others."""
        added = [None] * (len(wires) - len(self._wires))
        self._wires += added
        self._listed += added
        pairs = enumerate(zip_longest(wires, self._wires))
        places = [place for place, (wire, last) in pairs if wire != last]
        before = {
            last.id: (last, self._listed[place], self._odd.pop(place, None))
            for place in places
            if (last := self._wires[place]) is not None
        }
        del self._wires[len(wires) :], self._listed[len(wires) :]
        for place in places[: bisect_left(places, len(wires))]:
            wire, listed, warning = wires[place], None, None
            if wire is not None:
                last, listed, warning = before.pop(wire.id, (None, None, None))
                if last == wire:
                    wire = last
                else:
                    listed, warning = parse_account(wire, self.origins)
            self._wires[place], self._listed[place] = wire, listed
            if warning is not None:
                self._odd[place] = warning


@cache  # all workspaces have the same
def _origins(link_origins: tuple[str, ...]) -> frozenset[str]:
    return frozenset(filter(None, map(origin, link_origins)))


def _by_id(listed: Iterable[ListedAccount | None]) -> dict[str, ListedAccount]:
    """Return the accounts by id; the worst of equal ids counts."""
    accounts: dict[str, ListedAccount] = {}
    for account in filter(None, listed):
        first = accounts.setdefault(account.id, account)
        if first is not account:
            accounts[account.id] = max(
                first, account, key=lambda item: _WORST_LAST.index(item.status)
            )
    return accounts


def _wire_accounts(body: bytes, secret: str) -> Sequence[WireAccount | None]:
    """Return the accounts in *body*: None for each that has no id or is no object."""
    with suppress(ValueError, RecursionError):  # msgspec's own errors are ValueErrors
        envelope = _TYPED.decode(body)
        if envelope.success:
            return envelope.result.accounts
    return _lenient_accounts(body, secret)


def _lenient_accounts(body: bytes, secret: str) -> Sequence[WireAccount | None]:
    accounts = result_of(body, secret=secret).get("accounts")
    if not isinstance(accounts, list):
        raise incomplete("has no list of accounts")
    return list(map(lenient, accounts))


def result_of(body: bytes, *, secret: str = "") -> dict[str, Any]:
    """Return the needed part of `result` in a 2xx response, {} without one, or raise ApiError."""
    content = loads(body)
    success = content.get("success") if isinstance(content, dict) else None
    if success is False:
        raise api_error(content.get("error"), secret=secret)
    if success is not True:
        raise unexpected(body, content)
    result = content.get("result")
    return result if isinstance(result, dict) else {}


def _warnings(
    listed: Sequence[ListedAccount | None],
    accounts: Mapping[str, ListedAccount],
    odd: Mapping[int, str],
) -> list[str]:
    """Say what was odd: one sentence a kind, however many accounts it concerns."""
    warnings = []
    if len(accounts) < len(listed):
        times = Counter(account.id for account in listed if account)
        if left_out := len(listed) - times.total():
            warnings.append(f"left out for want of a usable id: {_count(left_out)}")
        if repeated := [id_ for id_, count in times.items() if count > 1]:
            count = _count(len(repeated), repeated[0])
            warnings.append(f"listed more than once, the worst status counts: {count}")
    by_warning: dict[str, list[str]] = {}
    for place, warning in sorted(odd.items()):
        account = listed[place]
        if account and accounts[account.id] is account:
            by_warning.setdefault(warning, []).append(account.id)
    warnings += [f"{warning}: {_count(len(ids), ids[0])}" for warning, ids in by_warning.items()]
    if len(warnings) > MAX_WARNINGS:
        more = len(warnings) - MAX_WARNINGS + 1
        warnings[MAX_WARNINGS - 1 :] = [f"and {more} more kinds of oddities"]
    return warnings


def _count(number: int, first: str | None = None) -> str:
    text = "1 account" if number == 1 else f"{number} accounts"
    if first is None:
        return text
    return f"{text}, {first[:60]!a}" if number == 1 else f"{text}, the first is {first[:60]!a}"

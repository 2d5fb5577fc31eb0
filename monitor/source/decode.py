"""The response to `accounts.getAll` → a snapshot, or why there is none.

A typed decode of the whole body comes first: it takes half a millisecond for a thousand accounts
and never creates what we do not need. Only if it fails is the body read leniently, account by
account, so that one odd account never hides the others.

An unchanged account gives the same `ListedAccount` object as the last time, an unchanged list the
same snapshot: comparing what was sent costs a fifth of building it anew.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any, Final

import msgspec

from monitor.core.model import Snapshot, Status
from monitor.core.text import redact

from .errors import api_error, incomplete, unexpected
from .settings import MAX_ACCOUNTS
from .wire import ParsedAccount, WireAccount, lenient, loads, origin, parse_account

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
        self.origins = frozenset(filter(None, map(origin, link_origins)))
        self._wires: Sequence[WireAccount | None] = ()
        self._accounts: dict[str, ParsedAccount] = {}
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
        accounts = self._parse(wires)
        self._snapshot = Snapshot(
            tuple([account.listed for account in accounts.values()]),
            tuple(
                redact(warning, limit=MAX_WARNING, secret=secret)
                for warning in _warnings(wires, accounts)
            ),
        )
        self._wires, self._accounts = wires, accounts
        return self._snapshot

    def _parse(self, wires: Sequence[WireAccount | None]) -> dict[str, ParsedAccount]:
        """Parse each account that differs from the last time; the worst of equal ids counts."""
        accounts: dict[str, ParsedAccount] = {}
        for wire in filter(None, wires):
            account = self._accounts.get(wire.id)
            if account is None or account.wire != wire:
                account = parse_account(wire, self.origins)
            if account is not None:
                first = accounts.setdefault(wire.id, account)
                if first is not account:
                    accounts[wire.id] = max(
                        first, account, key=lambda item: _WORST_LAST.index(item.listed.status)
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


def _warnings(wires: Sequence[WireAccount | None], accounts: dict[str, ParsedAccount]) -> list[str]:
    """Say what was odd: one sentence a kind, however many accounts it concerns."""
    warnings = []
    if len(accounts) < len(wires):
        times = Counter(wire.id for wire in filter(None, wires) if wire.id in accounts)
        if left_out := len(wires) - times.total():
            warnings.append(f"left out for want of a usable id: {_count(left_out)}")
        if repeated := [id_ for id_, count in times.items() if count > 1]:
            count = _count(len(repeated), repeated[0])
            warnings.append(f"listed more than once, the worst status counts: {count}")
    odd: dict[str, list[str]] = {}
    for account in accounts.values():
        if account.warning is not None:
            odd.setdefault(account.warning, []).append(account.listed.id)
    warnings += [f"{warning}: {_count(len(ids), ids[0])}" for warning, ids in odd.items()]
    if len(warnings) > MAX_WARNINGS:
        more = len(warnings) - MAX_WARNINGS + 1
        warnings[MAX_WARNINGS - 1 :] = [f"and {more} more kinds of oddities"]
    return warnings


def _count(number: int, first: str | None = None) -> str:
    text = "1 account" if number == 1 else f"{number} accounts"
    if first is None:
        return text
    return f"{text}, {first[:60]!a}" if number == 1 else f"{text}, the first is {first[:60]!a}"

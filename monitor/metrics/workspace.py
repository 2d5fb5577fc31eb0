"""The series of one workspace and its accounts.

The series of accounts are written a hundred accounts at a time, and again only when one of these
has changed.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Final, Literal

from monitor.core.model import ALL_WORKSPACES, Account, Cause, Status, Workspace
from monitor.core.text import clean, sanitize, without_quotes
from monitor.core.url import is_profile

from . import families
from .exposition import Chunk, chunk, escape
from .families import INFO, SINCE, STATUS, Family
from .series import Series, zeros

PerAccount = Literal["all", "unhealthy", "none"]

_MAX_NAME_LENGTH: Final = 100
_BRACKETS: Final = str.maketrans("<>", "\u2039\u203a")
_BLOCK_SIZE: Final = 100
_ZEROS: Final = zeros(families.OF_WORKSPACES)
_ZEROS_OF_ALL: Final = zeros(families.OF_ALL_WORKSPACES)


@dataclass(frozen=True, slots=True)
class _Block:
    """Some accounts and their series by metric, written with or without *names* and profiles."""

    accounts: list[Account]
    names: bool
    rendered: Mapping[Family, Chunk]


class WorkspaceSeries(Series):
    """The series of one workspace.

    Threads have to take turns with it. Only `account_chunks`, which may take long, can run beside
    everything but itself.
    """

    __slots__ = ("_blocks", "_workspace")

    def __init__(self, name: str) -> None:
        is_of_all = name == ALL_WORKSPACES
        super().__init__(f'workspace="{escape(name)}"', _ZEROS_OF_ALL if is_of_all else _ZEROS)
        self._workspace: Workspace | None = None
        self._blocks: list[_Block] = []

    def update(self, workspace: Workspace, open_incidents: Mapping[Cause, int]) -> None:
        """Show what is recorded."""
        self._workspace = workspace
        self.set(families.UP, int(workspace.failing is None and workspace.baseline_at is not None))
        counts = Counter([account.status for account in workspace.accounts.values()])
        for status in Status:
            self.set(families.ACCOUNTS, counts[status], status=status)
        for cause in Cause:
            self.set(families.INCIDENTS_OPEN, open_incidents.get(cause, 0), cause=cause)

    def account_chunks(
        self, per_account: PerAccount, *, names: bool
    ) -> list[Mapping[Family, Chunk]]:
        """Write the series of the accounts, by metric, where they have changed."""
        workspace = self._workspace  # the counting thread may put another one there meanwhile
        accounts = list(workspace.accounts.values()) if workspace and per_account != "none" else []
        if per_account == "unhealthy":
            accounts = [account for account in accounts if account.status is not Status.ACTIVE]
        parts = [accounts[at : at + _BLOCK_SIZE] for at in range(0, len(accounts), _BLOCK_SIZE)]
        pairs = zip_longest(parts, self._blocks[: len(parts)])
        self._blocks = [self._block(part, block, names=names) for part, block in pairs]
        return [block.rendered for block in self._blocks]

    def _block(self, accounts: list[Account], cached: _Block | None, *, names: bool) -> _Block:
        if cached and cached.names is names and cached.accounts == accounts:
            return replace(cached, accounts=accounts)  # the same objects are compared in no time
        return _Block(accounts, names, self._render(accounts, names=names))

    def _render(self, accounts: Iterable[Account], *, names: bool) -> Mapping[Family, Chunk]:
        lines: dict[Family, list[str]] = {STATUS: [], INFO: [], SINCE: []}
        for account in accounts:
            labels = f'{self._common},account_id="{escape(account.id)}"'
            info = f'country="{_words(account.country)}"'
            if names:
                url = account.url if is_profile(account.url) else ""
                info = f'name="{_words(account.name)}",{info},url="{escape(url)}"'
            lines[STATUS].append(f'{STATUS.name}{{{labels},status="{account.status}"}} 1\n')
            lines[INFO].append(f"{INFO.name}{{{labels},{info}}} 1\n")
            lines[SINCE].append(f"{SINCE.name}{{{labels}}} {account.since / 1_000_000}\n")
        return {family: chunk("".join(texts)) for family, texts in lines.items()}


def _words(text: str) -> str:
    """Write *text* of others as a label's value: alerts put it into sentences, chats and mails.

    There it can neither leave the quotation marks around it nor be markup.
    """
    cleaned = clean(sanitize(text, limit=_MAX_NAME_LENGTH), 2 * _MAX_NAME_LENGTH)
    return escape(without_quotes(cleaned).translate(_BRACKETS))

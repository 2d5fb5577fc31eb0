"""What a list of accounts says that the recorded state does not.

Most polls say nothing new, so the common path touches no account and builds nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import zip_longest
from typing import Final

from .fingerprint import ignored_before, list_key
from .inventory import matched_anew
from .model import Account, Fingerprint, ListedAccount, Snapshot, Workspace
from .url import profile_key


@dataclass(frozen=True, slots=True)
class Changes:
    """The accounts that need a decision: *listed* in the list, *missing* from it, or *unwatched*.

    Unwatched are those that the configuration no longer wants, whether they are listed or not;
    *ignored* are the ids of the listed ones among them and of all others that it does not want;
    *renamed* are those of these that it would want as they are called now, and nobody was told.
    *fingerprint* is there if another than the recorded one is right now. A *strange* list has none
    of the known accounts: this is its key, and all else is true only if it is believed.
    """

    listed: tuple[ListedAccount, ...] = ()
    missing: tuple[Account, ...] = ()
    unwatched: tuple[Account, ...] = ()
    ignored: frozenset[str] = frozenset()
    renamed: tuple[ListedAccount, ...] = ()
    fingerprint: Fingerprint | None = None
    strange: str = ""

    def __bool__(self) -> bool:
        return bool(
            self.listed or self.missing or self.unwatched or self.renamed or self.fingerprint
        )


@dataclass(frozen=True, slots=True)
class Quiet:
    """The accounts of a *snapshot* that need no decision while they look the same.

    All but *others* are so: these are looked at whenever they are listed.
    """

    snapshot: Snapshot
    others: frozenset[str] = frozenset()

    def news(self, snapshot: Snapshot) -> list[ListedAccount]:
        """Return the accounts of *snapshot* that are to be looked at."""
        wanted = self.others
        if snapshot is not self.snapshot:  # most times it is
            pairs = zip_longest(snapshot.accounts, self.snapshot.accounts)
            moved = [(account, last) for account, last in pairs if account is not last]
            before = {last.id: last for _, last in moved if last}
            wanted |= {
                account.id for account, _ in moved if account and before.get(account.id) != account
            }
        return [account for account in snapshot.accounts if account.id in wanted] if wanted else []


NOBODY: Final = frozenset[str]()
"""It is kept for each workspace, and empty sets are not the same by themselves."""

NOTHING_QUIET: Final = Quiet(Snapshot(()))


def diff(
    workspace: Workspace,
    snapshot: Snapshot,
    quiet: Quiet = NOTHING_QUIET,
    ignores: Callable[[Account | ListedAccount], bool] = lambda _: False,
    rules: str = "",
) -> Changes:
    """Return what needs a decision, given what was *quiet* (seen before, and nothing pending).

    Accounts that the configuration *ignores* are as good as not listed, but for one thing: if they
    were listed before, the list is that of this workspace. One with none of the known accounts may
    be another customer's, or a broken one; it is strange. While the *rules* are those of before,
    whoever was watched, or ignored, remains so under another name.
    """
    news = quiet.news(snapshot)
    recorded, removed = workspace.accounts, workspace.removed
    is_matched, ignored_ids = workspace.is_matched_by(rules), NOBODY
    if is_matched:
        unwatched_ids = (account.id for account in news if account.id not in recorded)
        ignored_ids = ignored_before(workspace.fingerprint, unwatched_ids)

    def is_ignored(account: ListedAccount) -> bool:
        row = recorded.get(account.id) or removed.get(account.id)
        if row and is_matched and row.matched_name is not None:
            return ignores(row)
        return account.id in ignored_ids or ignores(account)

    ignored = frozenset(account.id for account in news if is_ignored(account)) or NOBODY
    listed = tuple(account for account in news if account.id not in ignored)
    renamed = tuple(
        account
        for account in news
        if account.id in ignored
        and account.id in ignored_ids
        and not _is_told(removed.get(account.id))
        and not ignores(account)
    )
    if len(snapshot.accounts) - len(ignored) == len(recorded) and all(
        account.id in recorded for account in listed
    ):
        return Changes(listed, ignored=ignored, renamed=renamed)
    present = {account.id for account in snapshot.accounts}
    absent = tuple(account for id_, account in recorded.items() if id_ not in present)
    matched = absent if is_matched else map(matched_anew, absent)
    unwanted = {account.id for account in matched if ignores(account)}
    missing = tuple(account for account in absent if account.id not in unwanted)
    unwatched = (
        *(recorded[id_] for id_ in sorted(ignored & recorded.keys())),
        *(account for account in absent if account.id in unwanted),
    )
    is_strange = (
        missing
        and len(absent) == len(recorded)
        and not _any_returned(missing, snapshot)
        and not ignored_before(workspace.fingerprint, present)
    )
    strange = list_key(present) if is_strange else ""
    return Changes(listed, missing, unwatched, ignored, renamed, strange=strange)


def _is_told(account: Account | None) -> bool:
    return account is not None and account.rules_told_at is not None


def _any_returned(missing: tuple[Account, ...], snapshot: Snapshot) -> bool:
    urls = {profile_key(account.url) for account in snapshot.accounts} - {""}
    return any(profile_key(account.url) in urls for account in missing)

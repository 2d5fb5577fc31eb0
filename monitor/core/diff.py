"""What a list of accounts says that the recorded state does not.

Most polls say nothing new, so the common path touches each account once and builds nothing.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from .model import Account, Cause, Failure, ListedAccount, Snapshot, Workspace
from .url import profile_key


@dataclass(frozen=True, slots=True)
class Changes:
    """The accounts that need a decision: *listed* in the list, *missing* from it, or *unwatched*.

    Unwatched are those that the configuration no longer wants, whether they are listed or not.
    """

    listed: tuple[ListedAccount, ...] = ()
    missing: tuple[Account, ...] = ()
    unwatched: tuple[Account, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.listed or self.missing or self.unwatched)


def diff(
    workspace: Workspace,
    snapshot: Snapshot,
    quiet: Mapping[str, ListedAccount],
    ignores: Callable[[Account | ListedAccount], bool] = lambda _: False,
) -> Changes | Failure:
    """Return what needs a decision, given what was *quiet* (seen before, and nothing pending).

    Accounts that the configuration *ignores* are as good as not listed. A list with none of the
    known accounts is no news about them: it is another customer's list, or a broken one. That is a
    failure, and nothing of it is believed.
    """
    news = [
        account
        for account in snapshot.accounts
        if (last := quiet.get(account.id)) is not account  # the same object, most times
        and last != account
    ]
    ignored = {account.id for account in news if ignores(account)}
    listed = tuple(account for account in news if account.id not in ignored)
    recorded = workspace.accounts
    if len(snapshot.accounts) - len(ignored) == len(recorded) and all(
        account.id in recorded for account in listed
    ):
        return Changes(listed)
    present = {account.id for account in snapshot.accounts}
    absent = tuple(account for id_, account in recorded.items() if id_ not in present)
    missing = tuple(account for account in absent if not ignores(account))
    unwatched = (
        *(recorded[id_] for id_ in sorted(ignored & recorded.keys())),
        *(account for account in absent if ignores(account)),
    )
    if missing and len(absent) == len(recorded) and not _any_returned(missing, snapshot):
        return Failure(
            Cause.BAD_RESPONSE,
            f"the list has none of the {len(recorded)} accounts known so far; if the token belongs"
            " to another customer now, or all of them were removed, give this workspace a new name",
        )
    return Changes(listed, missing, unwatched)


def _any_returned(missing: tuple[Account, ...], snapshot: Snapshot) -> bool:
    urls = {profile_key(account.url) for account in snapshot.accounts} - {""}
    return any(profile_key(account.url) in urls for account in missing)

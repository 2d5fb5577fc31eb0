"""By which name and url accounts are matched with the rules, and what is told of other ones.

Another name or url by which other rules would match changes nothing and is told once. It counts
after a person accepted it, or when the rules are others: then all are matched as they are called.
"""

from collections.abc import Container, Iterable
from dataclasses import replace

from monitor.core.draft import Draft
from monitor.core.inventory import Inventory, matched_anew
from monitor.core.model import LISTED, RULES_CHANGED, Account, ListedAccount, Reason

from .accounts import new_account


def notice(draft: Draft, account: Account, inventory: Inventory) -> Account:
    """Tell that *account* would be matched otherwise as it is called now, unless that was told."""
    is_same = (account.name, account.url) == (account.matched_name, account.matched_url)
    if is_same or account.rules_told_at is not None or not inventory.rematches(account):
        return account
    return _tell(draft, account)


def notice_ignored(draft: Draft, renamed: Iterable[ListedAccount]) -> None:
    """Tell of ignored accounts that would be watched as they are called now; they are recorded."""
    for listed in renamed:
        account = draft.workspace.removed.get(listed.id) or new_account(draft, listed)
        seen = {key: getattr(listed, key) for key in LISTED}
        removed_at = draft.now if account.removed_at is None else account.removed_at
        account = _without_match(replace(account, **seen, removed_at=removed_at))
        draft.accounts[account.id] = _tell(draft, account)


def match_all_anew(draft: Draft, ignored: Container[str]) -> None:
    """Match all accounts by the names that they have now; those of the *ignored* are not kept."""
    accounts = {**draft.workspace.removed, **draft.workspace.accounts, **draft.accounts}
    for id_, account in accounts.items():
        match = _without_match if id_ in ignored else matched_anew
        draft.accounts[id_] = match(account)


def _without_match(account: Account) -> Account:
    return replace(account, matched_name=None, matched_url=None, rules_told_at=None)


def _tell(draft: Draft, account: Account) -> Account:
    draft.notice(account.id, Reason.RENAMED, RULES_CHANGED)
    return replace(account, rules_told_at=draft.now)

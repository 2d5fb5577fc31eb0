"""Who owns which account, and which accounts nobody watches: the labels of workspaces and accounts.

Rules:
1. Of the rules that match an account, the first that says something about a key decides it.
2. What a rule says of an account goes before the labels of its workspace.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from urllib.parse import unquote

from .model import Account, ListedAccount
from .policy import ConfigSection, Texts
from .url import profile_key


@dataclass(frozen=True, slots=True)
class AccountMatch(ConfigSection):
    """Which accounts an entry of `accounts` is about: those that match all parts.

    An empty part matches everything. Parts are globs; in those of *urls* scheme, `www.`, case,
    percent-encoding and a trailing slash do not matter.
    """

    workspaces: Texts = field(default=(), metadata={"alias": "workspace"})
    ids: Texts = field(default=(), metadata={"alias": "id"})
    names: Texts = field(default=(), metadata={"alias": "name"})
    urls: Texts = field(default=(), metadata={"alias": "url"})


@dataclass(frozen=True, slots=True)
class AccountRule(ConfigSection):
    """An entry of `accounts`: *labels* of the accounts that match, and whether to *ignore* them.

    *ignore* is None where the entry does not say whether they are watched.
    """

    match: AccountMatch = field(default_factory=AccountMatch)
    labels: Mapping[str, str] = field(default_factory=dict)
    ignore: bool | None = None

    def __post_init__(self) -> None:
        if not self.labels and self.ignore is None:
            raise ValueError("needs labels, or ignore: true")
        if self.ignore and self.match == AccountMatch():
            raise ValueError("would ignore every account; say in match which ones")


class Inventory:
    """The watched *workspaces* with their labels, and the *rules* about their accounts."""

    def __init__(
        self,
        workspaces: Mapping[str, Mapping[str, str]] | None = None,
        rules: Sequence[AccountRule] = (),
    ) -> None:
        self._workspaces = workspaces or {}
        self._labelling = tuple(rule for rule in rules if rule.labels)
        self._ignoring = tuple(rule for rule in rules if rule.ignore is not None)

    def watches(self, workspace: str) -> bool:
        """Return whether *workspace* is in the configuration."""
        return workspace in self._workspaces

    def labels(
        self, workspace: str, account: Account | ListedAccount | None = None
    ) -> Mapping[str, str]:
        """Return the labels of *account*, or those of *workspace* alone."""
        labels = dict(self._workspaces.get(workspace, {}))
        if account is not None:
            for rule in reversed(self._labelling):
                if _matches(rule.match, workspace, account):
                    labels.update(rule.labels)
        return labels

    def ignores(self, workspace: str, account: Account | ListedAccount) -> bool:
        """Return whether *account* is not to be watched."""
        for rule in self._ignoring:
            if _matches(rule.match, workspace, account):
                return bool(rule.ignore)
        return False


def matches_any(patterns: Iterable[str], texts: Iterable[str]) -> bool:
    """Return whether one of the *texts* fits one of the globs."""
    return any(fnmatchcase(text, pattern) for pattern in patterns for text in texts)


def _matches(match: AccountMatch, workspace: str, account: Account | ListedAccount) -> bool:
    return (
        (not match.workspaces or matches_any(match.workspaces, (workspace,)))
        and (not match.ids or matches_any(match.ids, (account.id,)))
        and (not match.names or matches_any(match.names, (account.name,)))
        and (not match.urls or _matches_address(match.urls, account.url))
    )


def _matches_address(patterns: Iterable[str], url: str) -> bool:
    bare = (_bare(pattern) for pattern in patterns)
    return matches_any(patterns, (url,)) or matches_any(bare, (profile_key(url),))


def _bare(pattern: str) -> str:
    """Write a glob for addresses the way `profile_key` writes an address."""
    address = unquote(pattern).lower().removeprefix("http://").removeprefix("https://")
    return address.removeprefix("www.").rstrip("/")

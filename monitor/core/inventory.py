"""Who owns which account, and which accounts nobody watches: the labels of workspaces and accounts.

Rules:
1. Of the rules that match an account, the first that says something about a key decides it.
2. A row of `accounts_file` is about one account and counts after the rules: one that names the id
   of an account goes before one with its url, and that before one with its name.
3. What they say of an account goes before the labels of its workspace.
4. Whoever may edit a profile must not decide who gets its login link, or whether it is watched. So
   an account is matched by the name and url that it had when it was first seen; others count once
   somebody has accepted them or the rules have changed.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from fnmatch import fnmatchcase
from functools import cached_property
from hashlib import sha256
from sys import intern
from typing import Annotated, Any, Final, Literal, TypeAlias
from urllib.parse import unquote

from .doc import Doc
from .model import Account, ListedAccount
from .policy import ConfigSection, Labels, Texts
from .url import profile_key


@dataclass(frozen=True, slots=True)
class AccountMatch(ConfigSection):
    """Which accounts an entry of `accounts` is about: those that match all parts.

    An empty part matches everything. Parts are globs; in those of *urls* scheme, `www.`, case,
    percent-encoding and a trailing slash do not matter.
    """

    workspaces: Annotated[
        Texts,
        Doc(
            "a glob or a list of them: `*` and `?` stand for anything",
            example="acme-*",
            default="everything",
        ),
    ] = field(default=(), metadata={"alias": "workspace"})
    ids: Annotated[
        Texts,
        Doc(
            "likewise; the best one to match by, `linkedapi-monitor accounts` shows it",
            example="d90ac1f6-1111-4222-8333-444455556666",
            default="everything",
        ),
    ] = field(default=(), metadata={"alias": "id"})
    names: Annotated[
        Texts,
        Doc(
            "likewise; upper and lower case differ", example=["Jane *", "Joe"], default="everything"
        ),
    ] = field(default=(), metadata={"alias": "name"})
    urls: Annotated[
        Texts,
        Doc(
            "likewise; `https://www.` and a trailing slash may be left out",
            example="linkedin.com/in/jane-*",
            default="everything",
        ),
    ] = field(default=(), metadata={"alias": "url"})


@dataclass(frozen=True, slots=True)
class AccountRule(ConfigSection):
    """An entry of `accounts`: *labels* of the accounts that match, and whether to *ignore* them.

    *ignore* is None where the entry does not say whether they are watched.
    """

    match: Annotated[
        AccountMatch,
        Doc("the accounts that match all parts", example={"id": ["5b0e3a10-*", "77c1d2f4-*"]}),
    ] = field(default_factory=AccountMatch)
    labels: Annotated[
        Labels, Doc("such as `{owner: jane@example.com}`", example={"owner": "jane@example.com"})
    ] = field(default_factory=dict)
    ignore: Annotated[
        bool | None,
        Doc(
            "`true`: as good as not listed. An incident that is open then ends as `unwatched`",
            example=True,
        ),
    ] = None

    def __post_init__(self) -> None:
        if not self.labels and self.ignore is None:
            raise ValueError("needs labels, or ignore: true")
        if self.ignore and self.match == AccountMatch():
            raise ValueError("would ignore every account; say in match which ones")


Column: TypeAlias = Literal["id", "url", "name"]

COLUMNS: Final[tuple[Column, ...]] = ("id", "url", "name")
"""What a row can name its account by, the best first."""


@dataclass(frozen=True, slots=True)
class AccountRow:
    """A row of `accounts_file`: what it says of the account with this *value* in *column*.

    It is no glob; of a url it is what `profile_key` makes of it.
    """

    column: Column
    value: str
    labels: Labels = field(default_factory=dict)
    ignore: bool | None = None


class Inventory:
    """The watched *workspaces* with their labels; *rules* and *rows* about their accounts.

    *routed* are the globs by which routes choose accounts.
    """

    def __init__(
        self,
        workspaces: Mapping[str, Mapping[str, str]] | None = None,
        rules: Sequence[AccountRule] = (),
        routed: Iterable[str] = (),
        rows: Iterable[AccountRow] = (),
    ) -> None:
        self._workspaces = workspaces or {}
        self._rules = rules
        self._routed = tuple(routed)
        self._rows = {(row.column, row.value): row for row in rows}
        self._keys: dict[str, str] = {}
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
            for row in reversed(self._rows_about(account)):
                labels.update(row.labels)
            for rule in reversed(self._labelling):
                if _matches(rule.match, workspace, account):
                    labels.update(rule.labels)
        return labels

    def ignores(self, workspace: str, account: Account | ListedAccount) -> bool:
        """Return whether *account* is not to be watched."""
        for rule in self._ignoring:
            if _matches(rule.match, workspace, account):
                return bool(rule.ignore)
        rows = self._rows_about(account)
        return next((row.ignore for row in rows if row.ignore is not None), False)

    def _rows_about(self, account: Account | ListedAccount) -> Sequence[AccountRow]:
        """Return the rows about *account*, the best first."""
        if not self._rows:
            return ()
        keys: list[tuple[Column, str]] = [
            ("id", account.id),
            *(("url", profile_key(url)) for url in _urls_of(account)),
            *(("name", name) for name in names_of(account)),
        ]
        return [self._rows[key] for key in keys if key in self._rows]

    def key(self, workspace: str) -> str:
        """Return what stands for the rules, and for which of them are about *workspace*."""
        if workspace not in self._keys:
            about = [_is_about(rule.match, workspace) for rule in self._rules]
            digest = sha256(f"{self._text} {about}".encode()).hexdigest()[:32]
            self._keys[workspace] = intern(digest)  # most have the same
        return self._keys[workspace]

    @cached_property
    def _text(self) -> str:
        rules = json.dumps([_spoken(asdict(rule)) for rule in self._rules], sort_keys=True)
        if not self._rows:
            return rules
        rows = sorted(map(_written, self._rows.values()))
        return rules + sha256("".join(rows).encode()).hexdigest()  # each workspace hashes it

    def rematches(self, account: Account) -> bool:
        """Return whether other rules, or routes, would match *account* as it is called now."""
        return self._matching(account) != self._matching(matched_anew(account))

    def _matching(self, account: Account) -> object:
        if self.ignores(account.workspace, account):
            return None
        routed = [glob for glob in self._routed if matches_any((glob,), names_of(account))]
        return self.labels(account.workspace, account), routed


def matched_anew(account: Account) -> Account:
    """Return *account* matched by the name and url that it has now."""
    before = account.matched_name, account.matched_url, account.rules_told_at
    if before == (account.name, account.url, None):
        return account
    return replace(account, matched_name=account.name, matched_url=account.url, rules_told_at=None)


def names_of(account: Account | ListedAccount) -> tuple[str, ...]:
    """Return the name that *account* is matched by, if there is one."""
    name = account.matched_name if isinstance(account, Account) else account.name
    return () if name is None else (name,)


def _urls_of(account: Account | ListedAccount) -> tuple[str, ...]:
    url = account.matched_url if isinstance(account, Account) else account.url
    return () if url is None else (url,)


def _written(row: AccountRow) -> str:
    """Return all of *row*, the same in every version, a hundred thousand within half a second."""
    return ascii((row.column, row.value, sorted(row.labels.items()), row.ignore))


def _spoken(rule: Mapping[str, Any]) -> dict[str, Any]:
    """Return what *rule* says: a key that a later version adds makes no other rule of it."""
    match = {key: value for key, value in rule["match"].items() if value}
    return {key: value for key, value in rule.items() if value is not None} | {"match": match}


def matches_any(patterns: Iterable[str], texts: Iterable[str]) -> bool:
    """Return whether one of the *texts* fits one of the globs."""
    return any(fnmatchcase(text, pattern) for pattern in patterns for text in texts)


def _matches(match: AccountMatch, workspace: str, account: Account | ListedAccount) -> bool:
    return (
        _is_about(match, workspace)
        and (not match.ids or matches_any(match.ids, (account.id,)))
        and (not match.names or matches_any(match.names, names_of(account)))
        and (not match.urls or _matches_address(match.urls, _urls_of(account)))
    )


def _is_about(match: AccountMatch, workspace: str) -> bool:
    return not match.workspaces or matches_any(match.workspaces, (workspace,))


def _matches_address(patterns: Iterable[str], urls: Sequence[str]) -> bool:
    bare = (_bare(pattern) for pattern in patterns)
    return matches_any(patterns, urls) or matches_any(bare, [profile_key(url) for url in urls])


def _bare(pattern: str) -> str:
    """Write a glob for addresses the way `profile_key` writes an address."""
    address = unquote(pattern).lower().removeprefix("http://").removeprefix("https://")
    return address.removeprefix("www.").rstrip("/")

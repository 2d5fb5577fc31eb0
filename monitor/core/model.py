"""The words of the monitor, as types. Use these words and no others.

Those for what people are sent are in `notification`, those for what they do in `act`.
Points in time are UTC microseconds since the epoch (`Micros`), spans are `Duration`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final, NamedTuple, TypeAlias

from .duration import Duration
from .secret import Secret

Micros: TypeAlias = int


class Status(StrEnum):
    """What Linked API says of an account; `unknown` stands for a word we do not know yet."""

    ACTIVE = "active"
    RECONNECTION_REQUIRED = "reconnection_required"
    FROZEN = "frozen"
    UNKNOWN = "unknown"


class Cause(StrEnum):
    """Why an incident is open.

    The first four are an account's; of the workspace's the last is about how it is paid for, the
    others are why nothing can be seen.
    """

    RECONNECTION_REQUIRED = "reconnection_required"
    FROZEN = "frozen"
    UNKNOWN = "unknown"
    FLAPPING = "flapping"
    UNREACHABLE = "unreachable"
    TOKEN_REJECTED = "token_rejected"  # noqa: S105 - a word, not a token
    RATE_LIMITED = "rate_limited"
    BAD_RESPONSE = "bad_response"
    SUBSCRIPTION = "subscription"

    @property
    def scope(self) -> "Scope":
        """Whether incidents with it are about one account or about all of a workspace."""
        of_workspace = self in BLIND_CAUSES or self is Cause.SUBSCRIPTION
        return Scope.WORKSPACE if of_workspace else Scope.ACCOUNT


BLIND_CAUSES = (Cause.UNREACHABLE, Cause.TOKEN_REJECTED, Cause.RATE_LIMITED, Cause.BAD_RESPONSE)


class Scope(StrEnum):
    """Whether an incident is about one account or about all of a workspace."""

    ACCOUNT = "account"
    WORKSPACE = "workspace"


Subject: TypeAlias = tuple[Scope, str]
"""What an incident of a workspace is about: no two of the same are open at a time."""

READING: Final = (Scope.WORKSPACE, "reading")
"""The subject of the incident of a workspace that cannot be read."""

SUBSCRIPTION: Final = (Scope.WORKSPACE, "subscription")
"""The subject of the incident of how a workspace is paid for."""

API: Final = (Scope.WORKSPACE, "api")
"""The subject of the incident of all workspaces: Linked API itself is away."""

ALL_WORKSPACES: Final = "*"
"""The workspace of an incident that is of all workspaces."""


class EventType(StrEnum):
    """What happened to an incident (`notice`: to an account, without one)."""

    OPENED = "opened"
    CHANGED = "changed"
    REFRESHED = "refreshed"
    REMINDED = "reminded"
    ESCALATED = "escalated"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"
    NOTICE = "notice"


class Reason(StrEnum):
    """Why an event happened: for the log and the history."""

    SEEN_BAD = "seen_bad"
    STATUS_CHANGED = "status_changed"
    KEEPS_CHANGING = "keeps_changing"
    STEADY_AGAIN = "steady_again"
    ACTIVE_AGAIN = "active_again"
    MISSING = "missing"
    NEW_ID = "new_id"
    IGNORED = "ignored"
    WORKSPACE_LEFT = "workspace_left"
    UNREADABLE_TOO_LONG = "unreadable_too_long"
    TOKEN_REJECTED = "token_rejected"  # noqa: S105 - a word, not a token
    FAILURE_CHANGED = "failure_changed"
    READ_AGAIN = "read_again"
    ACCEPTED = "accepted"
    LINK_LISTED = "link_listed"
    LINK_CREATED = "link_created"
    LINK_ROTATED = "link_rotated"
    REMINDER_DUE = "reminder_due"
    STEP_DUE = "step_due"
    TAKEN_OVER = "taken_over"
    GIVEN_BACK = "given_back"
    TIME_IS_OVER = "time_is_over"
    MUTE_ENDED = "mute_ended"
    TRIED_AGAIN = "tried_again"
    CANCELLED = "cancelled"
    ASKED_FOR = "asked_for"
    RENAMED = "renamed"
    CONNECTED = "connected"
    NEW_CONDITION = "new_condition"
    NO_CONDITION = "no_condition"


APPEARED: Final = "appeared"
"""The detail of a `notice`: an account was connected."""

RULES_CHANGED: Final = "rules_changed"
"""The detail of a `notice`: other rules would match an account by its new name or url."""


class Resolution(StrEnum):
    """How an incident ended; `unwatched`: its account or workspace left the configuration."""

    RECOVERED = "recovered"
    DISAPPEARED = "disappeared"
    REPLACED = "replaced"
    UNWATCHED = "unwatched"


class IntentOutcome(StrEnum):
    """How asking for a session ended.

    `kept`: the present one is still good; `needless`: it wasn't asked for, as the account has a
    link or needs none any more; `later`: it could not be asked for just now; `limited`: the API
    allows no more of them today.
    """

    CREATED = "created"
    KEPT = "kept"
    NEEDLESS = "needless"
    REFUSED = "refused"
    LATER = "later"
    LIMITED = "limited"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Session:
    """A reconnection session of an account and the link that opens it, as last seen.

    *unconfirmed_since* is when it was last known to be good, as the account list does not show it:
    when it came, if we asked for it, or was listed last, or was asked about. It may have expired
    since. None: the list shows it. *link_since* is when this very link was first seen.
    """

    id: str | None
    link: Secret | None
    unconfirmed_since: Micros | None = None
    link_since: Micros | None = None


@dataclass(frozen=True, slots=True)
class ListedAccount:
    """One account as one `getAll` showed it.

    *url* is as the API wrote it; *session* is there only while a login is needed, and its link only
    if it is safe to show (https, or an origin that the configuration allows).
    """

    id: str
    name: str
    url: str
    country: str
    status: Status
    raw_status: str
    session: Session | None = None


LISTED: Final = ("id", "name", "url", "country", "status", "raw_status")
"""What the list says of an account itself: all but its session."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The parsed answer of one `getAll`; *warnings* are sentences about what was odd in it."""

    accounts: tuple[ListedAccount, ...]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a poll saw nothing. *detail* is for people and holds no secret."""

    cause: Cause
    detail: str
    retry_after: Duration | None = None


@dataclass(frozen=True, slots=True)
class Skipped:
    """Our own share of the rate limit was used up: nothing was asked or learned."""

    retry_after: Duration


Observation: TypeAlias = Snapshot | Failure | Skipped


@dataclass(frozen=True, slots=True)
class Account:
    """What is recorded about one account.

    *since* is when the present status was first seen. *bad_polls* counts towards opening an
    incident, *good_polls* towards resolving it, *missing_polls* towards believing that the account
    is gone; *changes* are the latest changes of status, for noticing flapping.

    *matched_name* and *matched_url* are those that the rules about accounts go by, whatever its
    profile says by now (None: it is ignored, and they were not kept); *rules_told_at* is when
    people were told that others would match as it is called now. *replaced_by* is the id under
    which the same profile was connected anew, once this account is removed.
    """

    workspace: str
    id: str
    name: str
    url: str
    country: str
    status: Status
    raw_status: str
    since: Micros
    first_seen_at: Micros
    bad_polls: int = 0
    good_polls: int = 0
    missing_polls: int = 0
    missing_since: Micros | None = None
    changes: tuple[Micros, ...] = ()
    removed_at: Micros | None = None
    matched_name: str | None = None
    matched_url: str | None = None
    rules_told_at: Micros | None = None
    replaced_by: str | None = None


MATCHED: Final = ("matched_name", "matched_url", "rules_told_at")
"""What is recorded of how an account is matched by the rules."""


@dataclass(frozen=True, slots=True)
class FailureStreak:
    """A run of failed polls: since when, and since when of the same cause."""

    cause: Cause
    detail: str
    since: Micros
    cause_since: Micros


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """By what a list is known to be that of its workspace: hashes made with a *salt*.

    *token* is that of the token of the last good poll, *ignored* those of the ids of accounts that
    were listed then and are not watched. *rules* stands for the rules that said so, and by which
    all accounts of the workspace are matched.
    """

    salt: str
    token: str
    ignored: tuple[str, ...] = ()
    rules: str = ""


@dataclass(frozen=True, slots=True)
class RefusedList:
    """The latest list that had none of the known accounts and was not believed.

    *key* stands for the ids in it, *listed* is how many there were; *polls* counts those in a row
    that brought the same ids under the token of the last good poll.
    """

    key: str
    listed: int
    polls: int


@dataclass(frozen=True, slots=True)
class Workspace:
    """What is recorded about one workspace and its *accounts* (without those that were *removed*).

    *baseline_at* is when the first good poll was recorded, *version* counts how often others than
    its polls changed its accounts.
    """

    name: str
    version: int = 0
    baseline_at: Micros | None = None
    failing: FailureStreak | None = None
    fingerprint: Fingerprint | None = None
    refused: RefusedList | None = None
    accounts: Mapping[str, Account] = field(default_factory=dict)
    removed: Mapping[str, Account] = field(default_factory=dict)

    def is_matched_by(self, rules: str) -> bool:
        """Return whether *rules* are those by which its accounts are matched."""
        return self.fingerprint is not None and self.fingerprint.rules == rules


@dataclass(frozen=True, slots=True)
class Liveness:
    """What a poll under *term* says of the workspace *name*.

    *last_good_at* is when it was last read well (None: no news), *fresh_until* how long this poll
    counts as a recent one (None: nothing that is recorded may still hold).
    """

    name: str
    term: int
    last_good_at: Micros | None
    fresh_until: Micros | None


class Refresh(StrEnum):
    """What becomes of a login link that rotated since an incident was last told."""

    DUE = "due"
    TOLD = "told"


class EarlierCause(NamedTuple):
    """A cause that an incident no longer has, and how long it *lasted*."""

    cause: Cause
    lasted: Duration


@dataclass(frozen=True, slots=True)
class Incident:
    """An open (or ended) problem.

    *subject* is an account's id, or what else it is about: `reading` a workspace, its
    `subscription`, or the `api`.
    It has its *cause* since *cause_since*; the *earlier* ones are in their order, and bounded.
    *detail* says more of a workspace's; of one that opened as flapping it is the status of then.
    If it recurs, it was the one that made it so many *times* *times_within* so long.

    *told_at* is when first anybody was told of it. Somebody has taken it over if it is
    *acknowledged_at*: *acknowledged_by* names who, *acknowledged_login* which user of which system
    said so if that is another name. *escalated* is the `after` of the greatest step that was done.
    What is due next of it, *next_due_at*, is the first of the times at which a reminder, a
    *refresh* of the link, a step, or the end of an acknowledgement or of a mute is due.
    """

    id: str
    workspace: str
    scope: Scope
    subject: str
    cause: Cause
    opened_at: Micros
    cause_since: Micros
    earlier: tuple[EarlierCause, ...] = ()
    status: Status | None = None
    raw_status: str | None = None
    detail: str = ""
    times: int | None = None
    times_within: Duration | None = None
    told_at: Micros | None = None
    acknowledged_by: str | None = None
    acknowledged_way: str | None = None
    acknowledged_login: str | None = None
    acknowledged_at: Micros | None = None
    acknowledged_until: Micros | None = None
    acknowledged_reason: str | None = None
    resolved_at: Micros | None = None
    resolution: Resolution | None = None
    reminders: int = 0
    remind_at: Micros | None = None
    refresh: Refresh | None = None
    refresh_at: Micros | None = None
    escalated: Duration | None = None
    muted_until: Micros | None = None
    next_due_at: Micros | None = None

    @property
    def is_open(self) -> bool:
        """Whether the problem is still there."""
        return self.resolved_at is None

    @property
    def opening_cause(self) -> Cause:
        """The cause that it opened with."""
        return self.earlier[0].cause if self.earlier else self.cause

    @property
    def previous_cause(self) -> Cause | None:
        """The cause that it had before, if it had another one."""
        return self.earlier[-1].cause if self.earlier else None

    @property
    def about(self) -> Subject:
        """What it is about; it may be that of no other open incident of the workspace."""
        return self.scope, self.subject

    @property
    def account_id(self) -> str | None:
        """The account that it is about, if it is about one."""
        return self.subject if self.scope is Scope.ACCOUNT else None

    def given_back(self) -> "Incident":
        """Return it as one that nobody has taken over."""
        return replace(
            self,
            acknowledged_by=None,
            acknowledged_way=None,
            acknowledged_login=None,
            acknowledged_at=None,
            acknowledged_until=None,
            acknowledged_reason=None,
        )


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened, why, and that people may hear of. A `notice` has no incident.

    *untold* says of receivers that would hear of it why they do not: `name: why`, one a line.
    *act_id* is the act that it follows from, if a person did something.
    *times* is that of an incident that recurs.
    """

    id: str
    type: EventType
    at: Micros
    workspace: str
    account_id: str | None
    incident_id: str | None
    reason: Reason
    cause: Cause | None = None
    detail: str = ""
    untold: str = ""
    act_id: str | None = None
    times: int | None = None


@dataclass(frozen=True, slots=True)
class Transition:
    """An account's status differs from the last committed one (None: absent)."""

    workspace: str
    account_id: str
    before: Status | None
    after: Status | None
    at: Micros

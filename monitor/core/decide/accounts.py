"""What one good poll does to accounts: listed ones by the transition table, missing and ignored."""

from collections.abc import Iterable
from dataclasses import replace
from enum import StrEnum

from monitor.core.draft import Draft
from monitor.core.model import (
    LISTED,
    MATCHED,
    Account,
    Cause,
    EventType,
    Incident,
    ListedAccount,
    Reason,
    Resolution,
    Scope,
    Status,
)
from monitor.core.policy import IncidentPolicy
from monitor.core.url import profile_key

from .sessions import has_link, is_rotated, latest_session, plan_refresh


class AccountState(StrEnum):
    """Where an account stands."""

    HEALTHY = "healthy"
    SUSPECT = "suspect"
    OPEN = "open"


class Input(StrEnum):
    """What a good poll saw of an account that it listed."""

    GOOD = "good"
    BAD = "bad"


def is_quiet(account: Account, policy: IncidentPolicy) -> bool:
    """Return whether seeing the same again would change nothing about *account* itself."""
    is_counted = account.bad_polls or account.good_polls or account.missing_polls
    return not is_counted and not _is_flapping(account, policy)


# ── in the list ──────────────────────────────────────────────────────────────────────────────────


def observe(listed: ListedAccount) -> Input:
    """Return what the list says of an account, as far as the transition table goes."""
    return Input.GOOD if listed.status is Status.ACTIVE else Input.BAD


def merge(draft: Draft, before: Account | None, listed: ListedAccount) -> Account:
    """Return the account as the list shows it now; a change of its status is a transition."""
    now = draft.now
    seen = {key: getattr(listed, key) for key in LISTED}
    if before is None:
        draft.transition(listed.id, None, listed.status)
        before = new_account(draft, listed)
    seen["workspace"] = draft.workspace.name  # of equal texts one is kept, and not one an account
    if before.matched_name == listed.name:
        seen["matched_name"] = listed.name
    if before.matched_url == listed.url:
        seen["matched_url"] = listed.url
    changes = before.changes
    if draft.find_open_of(before.id) is None or not _is_flapping(before, draft.policy):
        recent = now - draft.policy.flapping.within
        changes = tuple(at for at in changes if at > recent)
    since = min(before.since, now)
    if before.status is not listed.status:
        draft.transition(listed.id, before.status, listed.status)
        changes = (*changes, now)[-draft.policy.flapping.changes :]
        since = now
    return replace(
        before, **seen, since=since, changes=changes, missing_polls=0, missing_since=None
    )


def new_account(draft: Draft, listed: ListedAccount) -> Account:
    """Return an account that was not watched; one that returns is matched as it was before."""
    now, former = draft.now, draft.workspace.removed.get(listed.id)
    account = Account(
        workspace=draft.workspace.name,
        **{key: getattr(listed, key) for key in LISTED},
        since=now,
        first_seen_at=now,
        matched_name=listed.name,
        matched_url=listed.url,
    )
    if former is None or former.matched_name is None:
        return account
    return replace(account, **{key: getattr(former, key) for key in MATCHED})


def account_state(draft: Draft, account: Account) -> AccountState:
    """Return where *account* stands."""
    if draft.find_open_of(account.id) is not None:
        return AccountState.OPEN
    return AccountState.SUSPECT if account.bad_polls else AccountState.HEALTHY


def _is_flapping(account: Account, policy: IncidentPolicy) -> bool:
    return len(account.changes) >= policy.flapping.changes


def stay_healthy(draft: Draft, account: Account, listed: ListedAccount) -> Account:
    """Forget a suspicion, if there was one: no incident was opened and nobody was told."""
    del draft, listed
    return replace(account, bad_polls=0) if account.bad_polls else account


def count_bad(draft: Draft, account: Account, listed: ListedAccount) -> Account:
    """Count a bad poll; the one that reaches `open_after` opens an incident.

    One that keeps changing may never be bad for so long, so its changes are enough.
    """
    polls = draft.count(account.bad_polls)
    cause, reason, detail = Cause(account.status), Reason.SEEN_BAD, ""
    if _is_flapping(account, draft.policy):
        cause, reason, detail = Cause.FLAPPING, Reason.KEEPS_CHANGING, str(account.status)
    elif polls < draft.policy.open_after:
        return replace(account, bad_polls=polls)
    account = replace(account, bad_polls=0, good_polls=0)
    draft.set_session(account.id, latest_session(None, listed, draft.now))
    draft.open(cause, account, since=account.since, reason=reason, detail=detail)
    return account


def count_good(draft: Draft, account: Account, listed: ListedAccount) -> Account:
    """Count a good poll; the one that reaches `resolve_after` ends the incident.

    One that keeps changing has to stay active for `flapping.settle` instead.
    """
    del listed
    incident = _open_incident(draft, account)
    draft.set_session(account.id, None)
    if _is_flapping(account, draft.policy):
        if incident.cause is not Cause.FLAPPING:
            reason = Reason.KEEPS_CHANGING
            draft.change(incident, Cause.FLAPPING, reason, detail=incident.detail)
        if draft.now - account.since < draft.policy.flapping.settle:
            return account
        incident, reason = draft.incidents[incident.about], Reason.STEADY_AGAIN
        account = replace(account, changes=())
    else:
        reason = Reason.ACTIVE_AGAIN
        account = replace(account, good_polls=draft.count(account.good_polls))
        if account.good_polls < draft.policy.resolve_after:
            return account
    draft.resolve(incident, Resolution.RECOVERED, reason)
    return replace(account, good_polls=0)


def still_bad(draft: Draft, account: Account, listed: ListedAccount) -> Account:
    """Keep the incident open: its cause may have changed, or its link, or there is one at last."""
    incident = _open_incident(draft, account)
    before = draft.session_of(account.id)
    session = latest_session(before, listed, draft.now)
    draft.set_session(account.id, session)
    account = replace(account, good_polls=0)
    cause = Cause(account.status)
    if _is_flapping(account, draft.policy):
        if draft.now - account.since < draft.policy.flapping.settle:
            cause = Cause.FLAPPING
        else:
            account = replace(account, changes=())
    is_first = has_link(session) and not has_link(before)
    if incident.cause is not cause:
        draft.change(
            incident,
            cause,
            _why_changed(incident.cause, cause),
            detail=incident.detail,
            since=account.since,
        )
    elif is_first and account.since < draft.now:
        draft.emit(EventType.REFRESHED, incident, Reason.LINK_LISTED)
        draft.released.append(incident.id)
    elif is_first or is_rotated(session, before):  # the first since it worked for a moment
        planned = plan_refresh(incident, after=draft.refresh_after, now=draft.now)
        draft.incidents[incident.about] = planned
    return account


def _why_changed(before: Cause, after: Cause) -> Reason:
    if after is Cause.FLAPPING:
        return Reason.KEEPS_CHANGING
    return Reason.STEADY_AGAIN if before is Cause.FLAPPING else Reason.STATUS_CHANGED


def _open_incident(draft: Draft, account: Account) -> Incident:
    """Return the incident of *account*, with the status that it has now."""
    incident = draft.incidents[Scope.ACCOUNT, account.id]
    incident = replace(incident, status=account.status, raw_status=account.raw_status)
    draft.incidents[incident.about] = incident
    return incident


# ── missing from the list ────────────────────────────────────────────────────────────────────────


def note_missing(draft: Draft, missing: tuple[Account, ...], *, is_believed: bool) -> None:
    """Count the polls that did not list these accounts, and believe at last that they are gone.

    If the list *is_believed* already, they are gone at once.
    """
    policy = draft.policy
    many = len(missing) * 2 > len(draft.workspace.accounts)
    threshold = policy.missing_many_after if many else policy.missing_after
    gone = []
    for account in missing:
        since = draft.now if account.missing_since is None else account.missing_since
        polls = draft.count(account.missing_polls)
        absent = replace(account, missing_polls=polls, missing_since=min(since, draft.now))
        draft.accounts[account.id] = absent
        if is_believed or polls >= threshold:
            gone.append(absent)
    newest = _newest_by_profile(draft) if gone else {}
    for account in gone:
        successor = newest.get(profile_key(account.url))
        if successor and successor.first_seen_at < (account.missing_since or 0):
            successor = None
        resolution = Resolution.REPLACED if successor else Resolution.DISAPPEARED
        reason = Reason.NEW_ID if successor else Reason.MISSING
        draft.transition(account.id, account.status, None)
        removed = replace(account, replaced_by=successor.id if successor else None)
        if not _remove(draft, removed, resolution, reason):
            draft.notice(account.id, reason, resolution.value)


def _newest_by_profile(draft: Draft) -> dict[str, Account]:
    """Return the newest account of each profile."""
    newest: dict[str, Account] = {}
    listed = (account for account in draft.accounts_after().values() if not account.missing_polls)
    for account in sorted(listed, key=lambda account: account.first_seen_at):
        newest[profile_key(account.url)] = account
    newest.pop("", None)
    return newest


def _remove(draft: Draft, account: Account, resolution: Resolution, reason: Reason) -> bool:
    """Remove *account* and end its incident; return whether there was one."""
    incident = draft.find_open_of(account.id)
    if incident is not None:
        draft.resolve(incident, resolution, reason)
    draft.set_session(account.id, None)
    draft.accounts[account.id] = replace(account, removed_at=draft.now)
    return incident is not None


# ── accounts that left the configuration ─────────────────────────────────────────────────────────


def unwatch(draft: Draft, unwatched: Iterable[Account], reason: Reason) -> None:
    """Forget accounts that the configuration no longer wants; their incidents end."""
    for account in unwatched:
        _remove(draft, account, Resolution.UNWATCHED, reason)

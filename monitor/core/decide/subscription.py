"""The subscription: one incident of all that is wrong with it, and which accounts freeze for it.

A new condition is told, one that goes is not, and the last of them ends the incident. Nobody is
reminded of it: a person who pays has heard, and the accounts that freeze have incidents of their
own.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from monitor.core.draft import Decision, Draft
from monitor.core.duration import Duration
from monitor.core.model import (
    SUBSCRIPTION,
    Cause,
    EventType,
    Incident,
    ListedAccount,
    Micros,
    Reason,
    Resolution,
    Status,
    Workspace,
)
from monitor.core.subscription import (
    REFUSED,
    Conditions,
    Subscription,
    find_conditions,
    parse_conditions,
)

SUBSCRIPTION_WAIT: Final = Duration.parse("10s")
"""How long what is to be told of accounts that froze waits for the subscription's state."""


def freezes_or_thaws(workspace: Workspace, listed: ListedAccount) -> bool:
    """Return whether the list shows an account as frozen that was not, or may not be yet.

    Or one that was, as it is no more: the reason may be over, too.
    """
    before = workspace.accounts.get(listed.id)
    was_frozen = before is not None and before.status is Status.FROZEN and not before.bad_polls
    return (listed.status is Status.FROZEN) is not was_frozen


def check(
    workspace: Workspace,
    subscription: Subscription,
    incident: Incident | None,
    *,
    now: Micros,
    new_id: Callable[[], str],
) -> Decision:
    """Decide what *subscription* means for *workspace* whose *incident* is open about it."""
    incidents = {} if incident is None else {SUBSCRIPTION: incident}
    draft = Draft(Workspace(workspace.name), now, new_id, incidents=dict(incidents))
    _observe(
        draft, find_conditions(subscription, connected(workspace), recorded_conditions(incident))
    )
    return draft.decision(None, incidents)


def connected(workspace: Workspace) -> int:
    """Return how many accounts are listed: each takes a seat, whether or not it is watched."""
    ignored = workspace.fingerprint.ignored if workspace.fingerprint else ()
    listed = sum(not account.missing_polls for account in workspace.accounts.values())
    return listed + len(ignored)


def recorded_conditions(incident: Incident | None) -> Conditions:
    """Return what is wrong as far as it is recorded."""
    return Conditions() if incident is None else parse_conditions(incident.detail)


def refuse(draft: Draft) -> None:
    """Note that Linked API lists no accounts without a subscription: there is none."""
    _observe(draft, REFUSED)


def follow(
    draft: Draft, after: Workspace, subscription: Subscription | None, *, is_asked: bool
) -> None:
    """Note the *subscription* of a workspace that was read, as it is *after* that.

    None: nobody knows. Where nobody asks (*is_asked*) there is no incident while it can be read.
    """
    incident = draft.find_open(SUBSCRIPTION)
    if subscription is not None:
        _observe(
            draft, find_conditions(subscription, connected(after), recorded_conditions(incident))
        )
    elif incident is not None and not is_asked:
        failing = draft.workspace.failing
        if failing is not None and failing.cause is Cause.SUBSCRIPTION:
            draft.resolve(incident, Resolution.RECOVERED, Reason.READ_AGAIN)
        else:
            draft.resolve(incident, Resolution.UNWATCHED, Reason.IGNORED)
    _explain(draft)


def _observe(draft: Draft, conditions: Conditions) -> None:
    incident, detail = draft.find_open(SUBSCRIPTION), str(conditions)
    if incident is None:
        if conditions:
            reason = Reason.NEW_CONDITION
            draft.open(
                Cause.SUBSCRIPTION, SUBSCRIPTION, since=draft.now, reason=reason, detail=detail
            )
    elif not conditions:
        draft.resolve(incident, Resolution.RECOVERED, Reason.NO_CONDITION)
    elif conditions.names - recorded_conditions(incident).names:
        changed = replace(incident, detail=detail)
        draft.emit(EventType.CHANGED, changed, Reason.NEW_CONDITION, detail)
    else:
        draft.incidents[SUBSCRIPTION] = replace(incident, detail=detail)


def _explain(draft: Draft) -> None:
    """Say why accounts freeze, if the subscription is why: it is the detail of these events."""
    incident = draft.find_open(SUBSCRIPTION)
    if incident is None or not recorded_conditions(incident).explains:
        return
    for place, event in enumerate(draft.events):
        is_news = event.type in (EventType.OPENED, EventType.CHANGED)
        if is_news and event.cause is Cause.FROZEN:
            draft.events[place] = replace(event, detail=incident.detail)

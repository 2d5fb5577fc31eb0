"""What to do about what happened, and what holds until then: the lead of a notification.

*members* are one notification, or several of which all is said at once.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from . import billing, recurring
from .billing import BILLING
from .duration import humanize_between
from .model import ALL_WORKSPACES, Cause, EventType, Incident, Resolution, Status
from .notification import Notification
from .subscription import parse_conditions
from .text import clean, set_off
from .wording import (
    MAX_DETAIL,
    RECONNECT,
    explanation,
    flaps,
    ids,
    is_new,
    is_renamed,
    is_subscription,
    is_workspace,
    login_link,
    parts,
    resolution_of,
)

_REMEDIES: Final[Mapping[Cause, str]] = {
    Cause.UNREACHABLE: "Check the monitor's network, and whether Linked API has an outage.",
    Cause.TOKEN_REJECTED: "Put a valid token for this workspace into the monitor's configuration.",
    Cause.RATE_LIMITED: "Find out what else uses this token so heavily, or poll less often.",
    Cause.BAD_RESPONSE: (
        "See in the details what is wrong, and do what they say. If they name nothing to do, look"
        " for a newer version of this monitor: Linked API may have changed."
    ),
}
_PLATFORM: Final = "the Linked API platform"


def advice(members: Sequence[Notification]) -> str:
    """Say what to do about *members*, first of all, and what holds until then."""
    first, many = members[0], len(members) > 1
    resolution, incident = resolution_of(first), first.incident
    if resolution is not None:
        return _after(members, resolution)
    if is_new(first):
        accounts, they = ("these accounts", "them") if many else ("this account", "it")
        return (
            f"Nothing to do: {accounts} will be watched from now on. If nobody you know connected"
            f" {they}, look at {they} in {_PLATFORM}."
        )
    if is_renamed(first):
        names, accounts = ("names", "accounts") if many else ("name", "account")
        return (
            f"To let the new {names} count, run “linkedapi-monitor accounts accept ID”. Until then"
            f" owners, routes and what is ignored stay as they were: whoever edits a profile can"
            f" change what the {accounts} {'are' if many else 'is'} called."
        )
    if incident is None:
        return clean(first.detail, MAX_DETAIL)
    text = _explain(members, incident)
    if not many and (reason := recurring.find_out(incident)):
        text += f" {reason}"
    return text + _earlier_links(members) + _unanswered(members)


def _explain(members: Sequence[Notification], incident: Incident) -> str:
    first, many = members[0], len(members) > 1
    is_of_all = first.workspace == ALL_WORKSPACES
    if incident.cause is Cause.SUBSCRIPTION:
        return f"{billing.order(parse_conditions(incident.detail))} {billing.OTHERWISE}"
    if remedy := _REMEDIES.get(Cause.UNREACHABLE if is_of_all else incident.cause):
        whose = "their" if is_of_all or many else "its"
        return f"{remedy} Until then nobody hears of new problems with {whose} accounts."
    if incident.cause is Cause.RECONNECTION_REQUIRED:
        return f"{_login(members)} {_until_then(members)}"
    if incident.cause is Cause.FROZEN:
        return f"{_billing(members)} {_until_then(members)}"
    if incident.cause is Cause.FLAPPING:
        return _flapping(members, incident)
    accounts = "these accounts" if many else "this account"
    raw = "" if many else clean(incident.raw_status or "", 40)
    says = f" Linked API calls the state {set_off(raw)}." if raw else ""
    return (
        f"Look at {accounts} in {_PLATFORM}.{says} Until you know more, treat {accounts} as not"
        " working."
    )


def _until_then(members: Sequence[Notification]) -> str:
    return f"Until then nothing runs on {'these accounts' if len(members) > 1 else 'this account'}."


def _login(members: Sequence[Notification]) -> str:
    linked = [login_link(member) is not None for member in members]
    if len(members) > 1:
        if all(linked):
            return f"Open {RECONNECT} beside each name and log in to LinkedIn."
        if any(linked):
            return (
                f"Open {RECONNECT} beside each name and log in to LinkedIn; where there is none,"
                f" reconnect the account in {_PLATFORM}."
            )
        return f"Reconnect these accounts in {_PLATFORM}."
    if all(linked):
        return f"Open {RECONNECT} and log in to LinkedIn."
    reason = "links are not shown here" if members[0].link_withheld else "there is no link yet"
    return f"Reconnect this account in {_PLATFORM}: {reason}."


def _billing(members: Sequence[Notification]) -> str:
    if conditions := explanation(members[0]):
        return billing.order(conditions)
    if len(members) == 1:
        return f"Open {BILLING} and see that the subscription is paid and has enough seats."
    return (
        f"Open {BILLING} and see that the subscription is paid and has enough seats: that accounts"
        " freeze together usually means that it has ended or was made smaller."
    )


def _flapping(members: Sequence[Notification], incident: Incident) -> str:
    many = len(members) > 1
    accounts = "these accounts" if many else "this account"
    unsteady = f"The status keeps changing, so what runs on {accounts} fails now and then."
    if many and any(map(login_link, members)):
        return f"{_login(members)} {unsteady}"
    match None if many else (members[0].account or incident).status:
        case Status.ACTIVE:
            return f"Nothing to do at the moment: the account is active. {unsteady}"
        case Status.FROZEN:
            return f"{_billing(members)} {unsteady}"
        case Status.RECONNECTION_REQUIRED:
            return f"{_login(members)} {unsteady}"
        case _:
            return f"Look at {accounts} in {_PLATFORM}. {unsteady}"


def _earlier_links(members: Sequence[Notification]) -> str:
    """Say what becomes of links that were sent earlier."""
    if is_workspace(members[0]):
        return ""
    are_news = members[0].event in (EventType.REMINDED, EventType.REFRESHED)
    is_change = members[0].event is EventType.CHANGED
    if any(map(login_link, members)) and (are_news or (is_change and any(map(_had_link, members)))):
        return " Earlier links may no longer work."
    if is_change and any(map(_had_link, members)):
        return " A login link that was sent earlier no longer works."
    return ""


def _had_link(notification: Notification) -> bool:
    """Return whether a login would have helped before the present cause."""
    incident = notification.incident
    if incident is None or incident.previous_cause is not Cause.FLAPPING:
        return incident is not None and incident.previous_cause is Cause.RECONNECTION_REQUIRED
    return flaps(incident, incident.earlier[:-1]) is Cause.RECONNECTION_REQUIRED


def _unanswered(members: Sequence[Notification]) -> str:
    """Say why somebody hears of it who would not have otherwise: nobody has taken it over."""
    if members[0].event is not EventType.ESCALATED:
        return ""
    return f" Nobody has taken {'them' if len(members) > 1 else 'it'} over so far."


def _after(members: Sequence[Notification], resolution: Resolution) -> str:
    """Say what is left to do once it ended."""
    first, many = members[0], len(members) > 1
    accounts = "these accounts" if many else "this account"
    match resolution:
        case Resolution.RECOVERED:
            return " ".join(filter(None, ("Nothing to do.", "" if many else _what_it_was(first))))
        case Resolution.REPLACED:
            old = "old ids" if many else ids(first) or "old id"
            return f"Nothing to do, unless something of yours uses the {old}."
        case Resolution.UNWATCHED:
            subject = "they were" if many else "the account was"
            if is_subscription(first):
                return "Nothing to do: this monitor no longer asks about the subscription."
            if is_workspace(first) and not many:
                subject = "the workspace was"
            return (
                f"Nothing to do: {subject} taken out of the monitor's configuration."
                " Nobody will hear whether the problem ends."
            )
        case _:
            they_are = "They are" if many else "The account is"
            return (
                f"If nobody meant to remove {accounts}, connect {'them' if many else 'it'} again in"
                f" {_PLATFORM}. {they_are} no longer watched."
            )


def _what_it_was(notification: Notification) -> str:
    incident = notification.incident
    if incident is None or incident.resolved_at is None:
        return ""
    if not is_workspace(notification):
        text = parts(incident, incident.resolved_at)
        return f"{text[0].upper()}{text[1:]}."
    if is_subscription(notification):
        return ""
    span = humanize_between(incident.opened_at, incident.resolved_at)
    return f"For {span} nothing could be seen; what changed meanwhile is told separately."

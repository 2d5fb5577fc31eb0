"""The words of notifications: what happened to whom. What to do about it is in `advice`.

The rules for texts are in `docs/developing.md`; of them, three hold up the others:

1. Names, addresses and details come from others and are hostile: everything passes `clean`, and in
   a sentence or beside one it is `set_off`.
2. Nobody is asked to log in to an account that a login would not bring back.
3. A link never stands in a sentence: it is an action of its own, or it is not there at all.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from . import billing, recurring
from .duration import humanize, humanize_between
from .model import (
    ALL_WORKSPACES,
    APPEARED,
    RULES_CHANGED,
    Cause,
    EarlierCause,
    EventType,
    Incident,
    Micros,
    Resolution,
    Scope,
    Status,
)
from .notification import Notification
from .secret import Secret
from .subscription import Conditions, parse_conditions
from .text import clean, set_off, shorten
from .url import is_profile

MAX_DETAIL: Final = 300
MAX_PARTS: Final = 4
"""So many causes of an incident are told with how long each lasted."""

RECONNECT: Final = "Reconnect"

_STATES: Final[Mapping[Cause, str]] = {
    Cause.RECONNECTION_REQUIRED: "signed out of LinkedIn",
    Cause.FROZEN: "frozen by Linked API",
    Cause.UNKNOWN: "in a state that this monitor does not know",
    Cause.UNREACHABLE: "Linked API does not answer",
    Cause.TOKEN_REJECTED: "Linked API rejects the token",
    Cause.RATE_LIMITED: "the rate limit is used up",
    Cause.BAD_RESPONSE: "Linked API gives unusable answers",
}
_PARTS: Final[Mapping[Cause, str]] = {
    Cause.RECONNECTION_REQUIRED: "signed out",
    Cause.FROZEN: "frozen",
    Cause.UNKNOWN: "in an unknown state",
    Cause.UNREACHABLE: "no answer from Linked API",
    Cause.TOKEN_REJECTED: "the token rejected",
    Cause.RATE_LIMITED: "the rate limit used up",
    Cause.BAD_RESPONSE: "unusable answers from Linked API",
    Cause.SUBSCRIPTION: "not in order",
}
_FLAPPING: Final[Mapping[Cause, str]] = {
    Cause.RECONNECTION_REQUIRED: "signed out and back in again and again",
    Cause.FROZEN: "frozen and active again and again",
    Cause.UNKNOWN: "in an unknown state and active again and again",
}
_RESOLUTIONS: Final[Mapping[Resolution, tuple[str, str]]] = {
    Resolution.RECOVERED: ("is active again", "are active again"),
    Resolution.DISAPPEARED: ("was removed from Linked API", "were removed from Linked API"),
    Resolution.REPLACED: ("was replaced by a new connection", "were replaced by new connections"),
    Resolution.UNWATCHED: ("is no longer watched", "are no longer watched"),
}


def name_of(notification: Notification, limit: int = 80) -> str:
    """Name the account or the workspace that *notification* is about, as a sentence can hold it."""
    if notification.workspace == ALL_WORKSPACES:
        return "Most workspaces"
    identity = account_id(notification)
    if is_subscription(notification):
        return f"The Linked API subscription of {clean(notification.workspace)}"
    if is_workspace(notification) or not identity:
        return f"Workspace {clean(notification.workspace)}"
    name = clean(notification.account.name, limit) if notification.account else ""
    return set_off(name) if name else f"Account {set_off(shorten(identity, limit))}"


def account_id(notification: Notification) -> str:
    """Return the id of the account that *notification* is about, or nothing."""
    if notification.account is not None:
        return clean(notification.account.id)
    return clean(notification.incident.account_id or "") if notification.incident else ""


def is_workspace(notification: Notification) -> bool:
    """Say whether *notification* is about a workspace as a whole."""
    return notification.incident is not None and notification.incident.scope is Scope.WORKSPACE


def is_subscription(notification: Notification) -> bool:
    """Say whether *notification* is about how a workspace is paid for."""
    incident = notification.incident
    return incident is not None and incident.cause is Cause.SUBSCRIPTION


def explanation(notification: Notification) -> Conditions:
    """Return what is wrong with the subscription, if that is why an account froze."""
    incident, conditions = notification.incident, parse_conditions(notification.detail)
    is_frozen_now = incident is not None and incident.cause is Cause.FROZEN and incident.is_open
    return conditions if is_frozen_now and conditions.explains else Conditions()


def told_once(notifications: Sequence[Notification]) -> Sequence[Notification]:
    """Leave out what is wrong with the subscription where that is said of accounts anyway."""
    if not any(map(explanation, notifications)):
        return notifications
    return [
        member
        for member in notifications
        if not (is_subscription(member) and resolution_of(member) is None)
    ]


def is_renamed(notification: Notification) -> bool:
    """Say whether it tells that other rules would match an account as it is called now."""
    is_notice = notification.event is EventType.NOTICE and notification.incident is None
    return is_notice and notification.detail == RULES_CHANGED


def is_new(notification: Notification) -> bool:
    """Say whether it tells that an account was connected."""
    is_notice = notification.event is EventType.NOTICE and notification.incident is None
    return is_notice and notification.detail == APPEARED


def is_test(notification: Notification) -> bool:
    """Say whether *notification* is of nothing that happened: a person wants to see one."""
    return notification.incident is None and notification.account is None


def needs_billing(notification: Notification) -> bool:
    """Say whether billing is where the problem is solved."""
    incident = notification.incident
    if is_subscription(notification):
        return resolution_of(notification) is None
    if incident is None or not incident.is_open or incident.scope is Scope.WORKSPACE:
        return False
    if incident.cause is Cause.FLAPPING:
        return (notification.account or incident).status is Status.FROZEN
    return incident.cause is Cause.FROZEN


def resolution_of(notification: Notification) -> Resolution | None:
    """Return how the problem ended, if it did."""
    if notification.event is EventType.RESOLVED:
        return (notification.incident and notification.incident.resolution) or Resolution.RECOVERED
    if notification.incident is not None:
        return notification.incident.resolution
    if notification.event is EventType.NOTICE and notification.detail in tuple(Resolution):
        return Resolution(notification.detail)
    return None


def login_link(notification: Notification) -> Secret | None:
    """Return the link to log in, if a browser opens it and all of it can be seen."""
    if notification.link is None:
        return None
    url = notification.link.reveal()
    is_url = url.startswith(("https://", "http://")) and url.isprintable() and " " not in url
    return notification.link if is_url else None


def profile_link(notification: Notification) -> str | None:
    """Return the address of the LinkedIn profile, if that is what the account's address is."""
    url = notification.account.url if notification.account else ""
    return url if is_profile(url) else None


# ── what happened ────────────────────────────────────────────────────────────────────────────────


def title(notification: Notification) -> str:
    """Say in one line what happened to whom."""
    if is_test(notification):
        return "Test message"
    return f"{name_of(notification)} {predicate(notification)}{_how_often(notification)}"


def _how_often(notification: Notification) -> str:
    often = "" if resolution_of(notification) else recurring.how_often(notification.incident)
    return f", the {often}" if often else ""


def thread_title(notification: Notification) -> str:
    """Name the incident as it opened: the same line for all its messages, so that mail joins them.

    Gmail takes mails for one conversation if they have the same subject.
    """
    workspace = clean(notification.workspace, 40)
    incident = notification.incident
    if incident is None:
        return f"{title(notification)} ({workspace})" if workspace else title(notification)
    if is_subscription(notification):
        return f"{name_of(notification)} needs attention"
    often = recurring.how_often(incident, of_opening=True)
    opened = "keeps stopping and working again"  # whatever else is known of it by now
    if incident.opening_cause is not Cause.FLAPPING:
        opened = _is(_STATES[incident.opening_cause], of_workspace=is_workspace(notification))
    if often:
        opened += f", the {often}"
    if is_workspace(notification):
        return f"{name_of(notification)} {opened}"
    return f"{name_of(notification, 50)} {opened} ({workspace})"


def predicate(notification: Notification, *, many: bool = False) -> str:
    """Say what happened to it (or to *many*): the rest of a sentence that starts with who."""
    resolution, incident = resolution_of(notification), notification.incident
    if resolution is not None:
        return _ended(notification, resolution, many=many)
    if incident is None:
        return _news(notification, many=many)
    if notification.event is EventType.REFRESHED and login_link(notification) is not None:
        return "have new login links" if many else "has a new login link"
    if is_subscription(notification):
        return billing.state(parse_conditions(incident.detail))
    is_news = notification.event in (EventType.OPENED, EventType.CHANGED)
    adverb = "now " if notification.event is EventType.CHANGED else "" if is_news else "still "
    text = _is(_state(incident), of_workspace=is_workspace(notification), adverb=adverb, many=many)
    if conditions := explanation(notification):
        text += f", as the subscription {billing.state(conditions)}"
    return text


def _news(notification: Notification, *, many: bool) -> str:
    if is_new(notification):
        return f"{'were' if many else 'was'} connected to Linked API"
    has = "have" if many else "has"
    if is_renamed(notification):
        return f"{has} a new name or address that other rules match"
    return f"{has} news"


def _ended(notification: Notification, resolution: Resolution, *, many: bool) -> str:
    if resolution is not Resolution.RECOVERED or not is_workspace(notification):
        return _RESOLUTIONS[resolution][many]
    return "is in order again" if is_subscription(notification) else "can be checked again"


def _is(state: str, *, of_workspace: bool, adverb: str = "", many: bool = False) -> str:
    if of_workspace:
        still, now = (adverb, "") if adverb == "still " else ("", adverb)
        return f"{still}cannot be checked: {now}{state}"
    return f"{'are' if many else 'is'} {adverb}{state}"


def _state(incident: Incident) -> str:
    if incident.cause is not Cause.FLAPPING:
        return _STATES[incident.cause]
    return _FLAPPING[flaps(incident, incident.earlier)]


def flaps(incident: Incident, before: Iterable[EarlierCause]) -> Cause:
    """Return between what and active an account changes: what it was *before*, or as it opened."""
    states = {incident.detail, *(earlier.cause for earlier in before)}
    return next((cause for cause in _FLAPPING if cause in states), Cause.RECONNECTION_REQUIRED)


def parts(incident: Incident, until: Micros) -> str:
    """Say what was wrong for how long, each cause in its turn: `signed out for 4 h, then frozen…`.

    The last one lasted *until* then.
    """
    last = _part(incident, incident.cause, incident.earlier)
    last += f" for {humanize_between(incident.cause_since, until)}"
    return ", then ".join((*earlier_parts(incident), last))


def earlier_parts(incident: Incident) -> list[str]:
    """Say the same of each cause that it had before the present one."""
    earlier = [
        f"{_part(incident, cause, incident.earlier[:place])} for {humanize(lasted)}"
        for place, (cause, lasted) in enumerate(incident.earlier)
    ]
    if len(earlier) > MAX_PARTS:
        between = incident.cause_since - incident.opened_at
        between -= incident.earlier[0].lasted + incident.earlier[-1].lasted
        earlier[1:-1] = [f"in other states for {humanize(between)}"]
    return earlier


def _part(incident: Incident, cause: Cause, before: Iterable[EarlierCause]) -> str:
    return _FLAPPING[flaps(incident, before)] if cause is Cause.FLAPPING else _PARTS[cause]


def acknowledged_by(incident: Incident) -> str:
    """Name who has taken *incident* over, or nobody."""
    return person(incident.acknowledged_by, incident.acknowledged_login)


def person(name: str | None, login: str | None) -> str:
    """Name who did something; of a *name* that was only given, say which *login* gave it."""
    name, login = clean(name or ""), clean(login or "")
    return f"{name} (said to be, by {login})" if name and login else name


def ids(notification: Notification) -> str:
    """Name the ids that somebody needs who is to do something about *notification*."""
    account = notification.account
    if is_renamed(notification):
        return f"id {set_off(account_id(notification))}"
    if account is None or account.replaced_by is None:
        return ""
    old, new = account_id(notification), clean(account.replaced_by)
    return f"old id: {set_off(old)} → new id {set_off(new)}"


def listing(notification: Notification) -> str:
    """Return the command that lists what there is of the kind of *notification*."""
    if is_renamed(notification) or is_new(notification):
        return "linkedapi-monitor accounts"
    if resolution_of(notification) is not None or notification.incident is None:
        return "linkedapi-monitor incidents --all"
    if is_workspace(notification):
        what = "incidents" if is_subscription(notification) else "workspaces"
        return f"linkedapi-monitor {what}"
    return "linkedapi-monitor accounts --bad --show-links"

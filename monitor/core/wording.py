"""The words of one notification: what happened to whom, what it means and what to do.

Rules:
1. Names, addresses and details come from others and are hostile: everything passes `clean`, and in
   a sentence or beside one it is `set_off`.
2. Nobody is asked to log in to an account that a login would not bring back.
3. A link never stands in a sentence: it is an action of its own, or it is not there at all.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from .duration import MICROSECONDS, humanize
from .model import (
    ALL_WORKSPACES,
    RULES_CHANGED,
    Cause,
    EventType,
    Incident,
    Micros,
    Notification,
    Resolution,
    Scope,
    Status,
)
from .secret import Secret
from .text import clean, format_time, set_off, shorten
from .url import is_profile

MAX_DETAIL: Final = 300

_STATES: Final[Mapping[Cause, str]] = {
    Cause.RECONNECTION_REQUIRED: "signed out of LinkedIn",
    Cause.FROZEN: "frozen by Linked API",
    Cause.UNKNOWN: "in a state this monitor does not know",
    Cause.FLAPPING: "going up and down",
    Cause.UNREACHABLE: "Linked API does not answer",
    Cause.TOKEN_REJECTED: "Linked API rejects the token",
    Cause.RATE_LIMITED: "the rate limit is used up",
    Cause.BAD_RESPONSE: "Linked API gives unusable answers",
}
_RESOLUTIONS: Final[Mapping[Resolution, tuple[str, str]]] = {
    Resolution.RECOVERED: ("is active again", "are active again"),
    Resolution.DISAPPEARED: ("was removed from Linked API", "were removed from Linked API"),
    Resolution.REPLACED: ("was connected anew", "were connected anew"),
    Resolution.UNWATCHED: ("is no longer watched", "are no longer watched"),
}
_REMEDIES: Final[Mapping[Cause, str]] = {
    Cause.UNREACHABLE: "Check the network of the monitor, and whether Linked API has an outage.",
    Cause.TOKEN_REJECTED: "Put a valid token for this workspace into the monitor's configuration.",
    Cause.RATE_LIMITED: "Find what else uses this token so heavily, or poll less often.",
    Cause.BAD_RESPONSE: "Linked API may be disturbed or have changed; look for a newer monitor.",
}
_RENAMED: Final = (
    "Whoever edits a profile can change its name and address, so nothing follows from that: owners,"
    " routes and what is ignored stay as they were. To let the new name count, run"
    " “linkedapi-monitor accounts accept ID” with the account id."
)
_PLATFORM: Final = "the Linked API platform"


def name_of(notification: Notification, limit: int = 80) -> str:
    """Name the account or the workspace that *notification* is about, as a sentence can hold it."""
    if notification.workspace == ALL_WORKSPACES:
        return "Most workspaces"
    identity = account_id(notification)
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
    """Say whether *notification* is about a workspace that can't be read."""
    return notification.incident is not None and notification.incident.scope is Scope.WORKSPACE


def is_renamed(notification: Notification) -> bool:
    """Say whether it tells that other rules would match an account as it is called now."""
    is_notice = notification.event is EventType.NOTICE and notification.incident is None
    return is_notice and notification.detail == RULES_CHANGED


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


def predicate(notification: Notification, *, many: bool = False) -> str:
    """Say what happened to it (or to *many*): the rest of a sentence that starts with who."""
    resolution, incident = resolution_of(notification), notification.incident
    if resolution is not None:
        blind = is_workspace(notification) and resolution is Resolution.RECOVERED
        return "can be checked again" if blind else _RESOLUTIONS[resolution][many]
    if is_renamed(notification):
        return f"{'have' if many else 'has'} a new name or address that other rules match"
    if incident is None:
        return "have news" if many else "has news"
    if notification.event is EventType.REFRESHED and login_link(notification) is not None:
        return "have new login links" if many else "has a new login link"
    is_news = notification.event in (EventType.OPENED, EventType.CHANGED)
    still = "" if is_news else "still "
    now = "now " if notification.event is EventType.CHANGED else ""
    if is_workspace(notification):
        return f"{still}cannot be checked: {now}{_STATES[incident.cause]}"
    return f"{'are' if many else 'is'} {still}{now}{_STATES[incident.cause]}"


def title(notification: Notification) -> str:
    """Say in one line what happened to whom."""
    if notification.incident is None and notification.account is None:
        return "Test message"
    return f"{name_of(notification)} {predicate(notification)}"


def thread_title(notification: Notification) -> str:
    """Name the incident: the same line for all its messages, so that mail clients join them."""
    workspace = clean(notification.workspace, 40)
    if notification.incident is None:
        return f"{title(notification)} ({workspace})" if workspace else title(notification)
    if notification.workspace == ALL_WORKSPACES:
        return "Linked API problem: most workspaces"
    if is_workspace(notification):
        return f"Linked API problem: workspace {workspace}"
    return f"LinkedIn account problem: {name_of(notification, 50)} ({workspace})"


# ── what it means and what to do ─────────────────────────────────────────────────────────────────


def advice(notification: Notification, *, many: bool = False) -> str:
    """Say what it means and what to do about it (or about *many* of the same kind)."""
    resolution, incident = resolution_of(notification), notification.incident
    if resolution is not None:
        return _after(notification, resolution, many=many)
    if is_renamed(notification):
        return _RENAMED
    if incident is None:
        return clean(notification.detail, MAX_DETAIL)
    return _explain(notification, incident, many=many) + _earlier_links(notification, incident)


def _explain(notification: Notification, incident: Incident, *, many: bool) -> str:
    is_of_all = notification.workspace == ALL_WORKSPACES
    if remedy := _REMEDIES.get(Cause.UNREACHABLE if is_of_all else incident.cause):
        whose = "their" if is_of_all else "its"
        return f"{remedy} Until then nobody hears of new problems with {whose} accounts."
    if incident.cause is Cause.RECONNECTION_REQUIRED:
        return _login(notification, many=many)
    if incident.cause is Cause.FROZEN:
        return _subscription(many=many)
    if incident.cause is Cause.FLAPPING:
        return _flapping(notification, incident, many=many)
    raw = "" if many else clean(incident.raw_status or "", 40)
    says = f"Linked API calls it {set_off(raw)}. " if raw else ""
    return f"{says}Take it as not working and look at it in {_PLATFORM}."


def _login(notification: Notification, *, many: bool) -> str:
    if many:
        return (
            "Linked API can do nothing for them until someone logs in to each again: "
            f"with its link where there is one, else in {_PLATFORM}."
        )
    effect = "Linked API can do nothing for this account until someone logs in to it again"
    if login_link(notification) is not None:
        return f"{effect}: open the link and log in to LinkedIn."
    reason = (
        "The login link is not shown here"
        if notification.link_withheld
        else "There is no login link to show here"
    )
    return f"{effect}. {reason}: reconnect the account in {_PLATFORM}."


def _subscription(*, many: bool) -> str:
    reason = "Accounts that freeze together usually mean" if many else "That usually means"
    return (
        f"{reason} that the Linked API subscription ended, was downgraded or has too few seats: "
        f"check the subscription and billing in {_PLATFORM}."
    )


def _flapping(notification: Notification, incident: Incident, *, many: bool) -> str:
    text = "The status keeps changing, so whatever uses it fails now and then."
    match None if many else (notification.account or incident).status:
        case Status.ACTIVE:
            return f"{text} Right now it is active; you will hear when it stays so."
        case Status.FROZEN:
            return f"{text} Right now it is frozen. {_subscription(many=False)}"
        case Status.RECONNECTION_REQUIRED:
            return f"{text} Right now it is signed out. {_login(notification, many=False)}"
        case _:
            return f"{text} Look at it in {_PLATFORM}."


def _earlier_links(notification: Notification, incident: Incident) -> str:
    """Say what becomes of links that were sent earlier."""
    has_link = login_link(notification) is not None
    if has_link and notification.event in (EventType.REMINDED, EventType.REFRESHED):
        return " Use this link only: earlier ones may no longer work."
    if notification.event is not EventType.CHANGED or is_workspace(notification):
        return ""
    if incident.previous_cause is not Cause.RECONNECTION_REQUIRED:
        return ""
    if has_link:
        return " Use this link only: an earlier one may no longer work."
    return " A login link sent earlier no longer works."


def _after(notification: Notification, resolution: Resolution, *, many: bool) -> str:
    """Say what is left to do once it ended."""
    match resolution:
        case Resolution.RECOVERED:
            return f"{_what_it_was(notification, many=many)} Nothing to do."
        case Resolution.REPLACED:
            same = "The same LinkedIn profiles now have" if many else "The same profile now has"
            return f"{same} a new account id. Nothing to do, unless something uses the old one."
        case Resolution.UNWATCHED:
            they_were = "They were" if many else "It was"
            return (
                f"{they_were} taken out of the monitor's configuration; "
                "nobody will hear whether the problem ends."
            )
        case _:
            they_are, them = ("They are", "them") if many else ("It is", "it")
            return (
                f"{they_are} no longer watched. If nobody meant to remove {them}, "
                f"connect {them} again in {_PLATFORM}."
            )


def _what_it_was(notification: Notification, *, many: bool) -> str:
    incident = notification.incident
    if many or incident is None or incident.resolved_at is None:
        return "The problem is over."
    span = humanize(incident.resolved_at - incident.opened_at)
    if is_workspace(notification):
        it_was = "They were" if notification.workspace == ALL_WORKSPACES else "It was"
        return f"{it_was} out of sight for {span}; what changed meanwhile is told separately."
    return f"It was {_STATES[incident.cause]} for {span}."


# ── the details ──────────────────────────────────────────────────────────────────────────────────


def facts(notification: Notification, *, now: Micros, timezone: str) -> Iterator[tuple[str, str]]:
    """Yield what else is known, as label and value."""
    account, incident = notification.account, notification.incident
    if notification.workspace not in ("", ALL_WORKSPACES):
        yield "Workspace", clean(notification.workspace)
    if identity := account_id(notification):
        yield "Account id", identity
    if incident is not None:
        yield from _times(notification.event, incident, now, timezone)
        if incident.acknowledged_by:
            yield "Acknowledged by", clean(incident.acknowledged_by)
        if is_workspace(notification) and (
            detail := clean(notification.detail or incident.detail, MAX_DETAIL)
        ):
            yield "Details", detail
    elif account is not None:
        yield "Noticed", _when(notification.at, timezone)
        if is_renamed(notification):
            yield "Matched as", clean(account.matched_name or "") or "ignored"
    if notification.labels:
        labels = notification.labels.items()
        pairs = ", ".join(f"{clean(key, 40)}: {clean(value, 40)}" for key, value in labels)
        yield "Labels", clean(pairs, MAX_DETAIL)


def _times(
    event: EventType, incident: Incident, now: Micros, timezone: str
) -> Iterator[tuple[str, str]]:
    if incident.resolved_at is not None:
        yield "Began", _when(incident.opened_at, timezone)
        yield "Ended", _when(incident.resolved_at, timezone)
        yield "Lasted", humanize(incident.resolved_at - incident.opened_at)
        return
    span = now - incident.opened_at
    ago = "just now" if span < MICROSECONDS["m"] else f"{humanize(span)} ago"
    yield "Since", f"{_when(incident.opened_at, timezone)}, {ago}"
    if event is EventType.CHANGED and incident.previous_cause is not None:
        yield "Before that", _STATES[incident.previous_cause]


def _when(moment: Micros, timezone: str) -> str:
    zone = "" if timezone == "UTC" else f" ({timezone})"
    return f"{format_time(moment, timezone)}{zone}"

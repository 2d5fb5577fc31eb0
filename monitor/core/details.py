"""The details of a notification that stand below what to do."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from . import wording
from .duration import MICROSECONDS, humanize_between
from .model import ALL_WORKSPACES, Incident, Micros
from .notification import Notification
from .text import clean, format_interval, format_time


class Fact(NamedTuple):
    """A detail: what it is, its value, and the address that the value leads to, if it does."""

    label: str
    value: str
    url: str | None = None


def facts(notification: Notification, *, now: Micros, timezone: str) -> Iterator[Fact]:
    """Yield what else is known, by use: first since when, last the id."""
    account, incident = notification.account, notification.incident
    if incident is not None:
        yield from _times(incident, now, timezone)
    else:
        yield Fact("Noticed", format_time(notification.at, timezone))
    if notification.workspace not in ("", ALL_WORKSPACES):
        yield Fact("Workspace", clean(notification.workspace))
    if incident is not None and (name := wording.acknowledged_by(incident)):
        until = incident.acknowledged_until
        until_then = "" if until is None else f", until {format_time(until, timezone)}"
        yield Fact("Acknowledged by", f"{name}{until_then}")
        if reason := clean(incident.acknowledged_reason or "", wording.MAX_DETAIL):
            yield Fact("Reason", reason)
    if detail := detail_of(notification):
        yield Fact("Details", detail)
    yield from _labels(notification.labels)
    if profile := wording.profile_link(notification):
        shown = profile.partition("://")[2].removeprefix("www.").rstrip("/")
        yield Fact("Profile", shown, profile)
    if account is not None and wording.is_renamed(notification):
        yield Fact("Matched as", clean(account.matched_name or "") or "ignored")
    if identity := wording.account_id(notification):
        yield Fact("Account id", identity)


def detail_of(notification: Notification) -> str:
    """Return why a workspace can't be read, if that is the problem."""
    incident = notification.incident
    is_blind = wording.is_workspace(notification) and not wording.is_subscription(notification)
    if incident is None or not is_blind:
        return ""
    now_is, was = incident.detail, notification.detail  # its cause may have changed since
    detail = (now_is or was) if incident.is_open else (was or now_is)
    return clean(detail, wording.MAX_DETAIL)


def _times(incident: Incident, now: Micros, timezone: str) -> Iterator[Fact]:
    if incident.resolved_at is not None:
        span = humanize_between(incident.opened_at, incident.resolved_at)
        when = format_interval(incident.opened_at, incident.resolved_at, timezone)
        yield Fact("Lasted", f"{span}, {when}")
        return
    since = incident.cause_since
    is_new = now - since < MICROSECONDS["m"]
    ago = "just now" if is_new else f"{humanize_between(since, now)} ago"
    yield Fact("Since", f"{format_time(since, timezone)}, {ago}")
    if earlier := wording.earlier_parts(incident):
        yield Fact("Before that", ", then ".join(earlier))


def _labels(labels: Mapping[str, str]) -> Iterator[Fact]:
    """Yield the owner first: whom to ask."""
    if owner := clean(labels.get("owner", "")):
        yield Fact("Owner", owner)
    pairs = ", ".join(
        f"{clean(key, 40)}: {clean(value, 40)}" for key, value in labels.items() if key != "owner"
    )
    if pairs:
        yield Fact("Labels", clean(pairs, wording.MAX_DETAIL))

"""What is muted at the moment: by the configuration, by command, once or by crontab."""

from collections.abc import Iterable, Iterator

from sqlalchemy import Connection

from monitor.core.model import Micros
from monitor.core.mutes import Mute, MuteRule, Mutes
from monitor.core.route import Routing
from monitor.cron import window
from monitor.store import mutes


def active(tx: Connection, routing: Routing, now: Micros) -> Mutes:
    """Return what the configuration, and what people did, mute *now*."""
    recorded = (row.rule for row in mutes.load(tx, now) if row.rule is not None)
    return Mutes(tuple(_active((*routing.mutes, *recorded), routing.timezone, now)))


def configured(routing: Routing, now: Micros) -> Mutes:
    """Return what the configuration alone mutes *now*."""
    return Mutes(tuple(_active(routing.mutes, routing.timezone, now)))


def window_of(rule: MuteRule, timezone: str, now: Micros) -> tuple[Micros, Micros]:
    """Return from when until when *rule* mutes next: *now* lies in it, before it, or behind it."""
    if rule.cron is None or rule.lasts is None:
        return rule.times(timezone)
    return window(rule.cron, rule.lasts, rule.timezone or timezone, now)


def _active(rules: Iterable[MuteRule], timezone: str, now: Micros) -> Iterator[Mute]:
    for rule in rules:
        starts, until = window_of(rule, timezone, now)
        if starts <= now < until:
            yield Mute(rule, until)

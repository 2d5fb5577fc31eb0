"""Mutes: times in which nobody, or some receivers, are told of what matches.

Rules:
1. A mute holds telling, and nothing else: what is seen, opened and ended stays the same.
2. Who has heard of an incident hears its end, whatever is muted.
3. What is held is told when the mute ends, if it is still true then.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Final

from .bounds import span
from .doc import Doc
from .duration import Duration
from .model import Account, Cause, Event, EventType, Incident, ListedAccount, Micros, Reason, Status
from .policy import ConfigSection, Texts
from .route import Match, matches
from .text import check_timezone
from .time_of_day import END_OF_TIME, parse_time

FOREVER: Final = "forever"

LASTS: Final = span("1m", "30d")
"""How long one may last that comes again and again."""

MAX_OF_ALL: Final = Duration.parse("30d")
"""So long at most everything may be muted without it being said that this is `forever`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MuteRule(ConfigSection):
    """What is muted for whom (*to*: these receivers alone), and when.

    That is once, *until* then, or again and again, each time that *cron* says, for so long as it
    *lasts*. Times without an offset are those of *timezone*.
    """

    match: Annotated[Match, Doc("what is muted: as in routes", example={"scope": "account"})] = (
        field(default_factory=Match)
    )
    to: Annotated[
        Texts, Doc("for these receivers alone", example=["ops-slack"], default="all receivers")
    ] = ()
    starts: Annotated[
        str | None,
        Doc("once, from then on …", example="2026-12-24T12:00", default="at once"),
    ] = field(default=None, metadata={"alias": "from"})
    until: Annotated[
        str | None,
        Doc("… until then; or `forever`", example="2027-01-02T08:00", default="none"),
    ] = None
    cron: Annotated[
        str | None,
        Doc("again and again, each time that this crontab expression says …", example="0 22 * * *"),
    ] = None
    lasts: Annotated[Duration | None, LASTS, Doc("… for so long", example="8h", default="none")] = (
        field(default=None, metadata={"alias": "for"})
    )
    timezone: Annotated[
        str | None, Doc("of its times", example="Europe/Berlin", default="that of the file")
    ] = None
    reason: Annotated[str, Doc("why, for lists", example="nobody is there at night")] = ""

    def __post_init__(self) -> None:
        if self.timezone is not None:
            check_timezone(self.timezone)
        if self.cron is not None or self.lasts is not None:
            self._check_repeated()
        else:
            self._check_once()

    def _check_repeated(self) -> None:
        if self.cron is None or self.lasts is None:
            raise ValueError("needs cron and for together, or until")
        if self.starts is not None or self.until is not None:
            raise ValueError("has cron and for as well as from or until; keep one of both")
        try:
            LASTS.check(self.lasts)
        except ValueError as error:
            raise ValueError(f"has a `for` that {error}") from None

    def _check_once(self) -> None:
        if self.until is None:
            raise ValueError("needs an end: until, or cron with for; or say until: forever")
        starts, until = self.times("UTC")
        if until <= starts and self._is_reversed_in("Etc/GMT-14"):
            raise ValueError("until must be later than from")
        is_all = self.match == Match() and not self.to and self.until != FOREVER
        if is_all and self.starts is None:
            raise ValueError("of everything needs from as well as until, or until: forever")
        if is_all and until - starts > MAX_OF_ALL:
            raise ValueError(
                f"of everything must not be longer than {MAX_OF_ALL}, unless until is forever"
            )

    def _is_reversed_in(self, timezone: str) -> bool:
        """Return whether it ends before it starts there: one of its times may have an offset."""
        starts, until = self.times(timezone)
        return until <= starts

    def times(self, timezone: str) -> tuple[Micros, Micros]:
        """Return from when until when it is, of one that is once."""
        zone = self.timezone or timezone
        starts = 0 if self.starts is None else parse_time(self.starts, zone)
        is_endless = self.until is None or self.until == FOREVER
        return starts, END_OF_TIME if is_endless else parse_time(self.until or "", zone)


@dataclass(frozen=True, slots=True)
class Mute:
    """What is muted at the moment, and *until* when."""

    rule: MuteRule
    until: Micros

    def mutes(
        self,
        event: Event | Incident,
        account: Account | ListedAccount | None,
        labels: Mapping[str, str],
        receiver: str | None,
    ) -> bool:
        """Return whether *receiver* (None: each of them) is not to be told of *event* now."""
        is_for = not self.rule.to or receiver in self.rule.to
        return is_for and matches(self.rule.match, event, account, labels)


@dataclass(frozen=True, slots=True)
class Mutes:
    """All that is muted at the moment."""

    active: tuple[Mute, ...] = ()

    def until(
        self,
        event: Event | Incident,
        account: Account | ListedAccount | None,
        labels: Mapping[str, str],
        receiver: str | None,
    ) -> Micros | None:
        """Return until when *receiver* is not told of *event*: the latest of several; None: it is.

        The event is about *account*, which has these *labels*.
        """
        until = (mute.until for mute in self.active if mute.mutes(event, account, labels, receiver))
        return max(until, default=None)

    def until_of(
        self, workspace: str, account: Account | ListedAccount, labels: Mapping[str, str]
    ) -> Micros | None:
        """Return until when nobody is told of *account* as it is now; None if somebody is."""
        is_well = account.status == Status.ACTIVE
        cause = None if is_well else Cause(account.status)
        opening = Event(
            "", EventType.OPENED, 0, workspace, account.id, None, Reason.SEEN_BAD, cause=cause
        )
        return self.until(opening, account, labels, None)

    def until_for_all(
        self,
        event: Event | Incident,
        account: Account | ListedAccount | None,
        labels: Mapping[str, str],
        receivers: Iterable[str],
    ) -> Micros | None:
        """Return until when none of the *receivers* is told of *event*: then the first one is."""
        ends = [self.until(event, account, labels, receiver) for receiver in receivers]
        return None if None in ends else min((end for end in ends if end is not None), default=None)

"""The words for what happens again and again, and for what may be behind it."""

from collections.abc import Mapping
from typing import Final

from .duration import Duration, humanize
from .model import Cause, Incident

_ORDINALS: Final = (
    *("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth"),
    "tenth",
)
_DAY: Final = Duration.parse("1d")

_NOUNS: Final[Mapping[Cause, str]] = {
    Cause.RECONNECTION_REQUIRED: "sign-out",
    Cause.FROZEN: "freeze",
}
_REASONS: Final[Mapping[Cause, str]] = {
    Cause.RECONNECTION_REQUIRED: (
        "whether the password or the two-factor login was changed, somebody else logs in to the"
        " account, or its proxy is in another country than its owner"
    ),
    Cause.FROZEN: "whether payments fail, or seats are taken away and given back",
}


def how_often(incident: Incident | None, noun: str = "time", *, of_opening: bool = False) -> str:
    """Say how often something happened: `third time in 7 days`; nothing if that is not often.

    Nor if it has become something else, unless it is said *of_opening*.
    """
    if incident is None or incident.times is None or incident.times_within is None:
        return ""
    if incident.cause is not incident.opening_cause and not of_opening:
        return ""
    return f"{_ordinal(incident.times)} {noun} in {_span(incident.times_within)}"


def find_out(incident: Incident) -> str:
    """Say what to find out about something that happens so often; nothing if it does not."""
    if not (often := how_often(incident, _NOUNS.get(incident.cause, "time"))):
        return ""
    return f"It is the {often}: find out {_REASONS.get(incident.cause, 'what is behind it')}."


def _ordinal(number: int) -> str:
    if number <= len(_ORDINALS):
        return _ORDINALS[number - 1]
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10)
    return f"{number}{ending or 'th'}"


def _span(span: Duration) -> str:
    days, rest = divmod(span, _DAY)
    if rest or not days:
        return humanize(span)
    return "1 day" if days == 1 else f"{days} days"

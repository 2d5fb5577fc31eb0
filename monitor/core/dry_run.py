"""A dry run of the routes: who would hear if an incident opened now, and by which of them.

Who hears is what `plan` says, as it says it when a poll is recorded.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from .duration import Duration
from .model import Account, Event, EventType, Micros
from .mutes import Mutes
from .plan import plan
from .route import MatchPart, Recipient, Route, Routing, ask, steps_of


@dataclass(frozen=True, slots=True)
class DryRun:
    """What would become of the opening of an incident about something with these *labels*.

    *asked* are the routes that are asked, in their order, each with the first part of its match
    that differs (None: it matches). *recipients* would hear: the fallback alone, if it *stands_in*
    for receivers that no route names. Those *without_address* are named, but no label gives them
    an address. *held* are those who would hear but for a mute, until when. *steps* say who hears
    after how long if nobody takes it over. There is no incident about an account that *is_ignored*.
    """

    labels: Mapping[str, str]
    asked: tuple[tuple[Route, MatchPart | None], ...] = ()
    recipients: tuple[Recipient, ...] = ()
    stands_in: bool = False
    without_address: tuple[str, ...] = ()
    held: tuple[tuple[Recipient, Micros], ...] = ()
    steps: tuple[tuple[Duration, tuple[Recipient, ...]], ...] = ()
    is_ignored: bool = False


def dry_run(
    opening: Event, account: Account | None, routing: Routing, mutes: Mutes | None = None
) -> DryRun:
    """Return who would hear of *opening*, which is about *account*, or about its workspace.

    *mutes* are those of the moment.
    """
    mutes = mutes or Mutes()
    labels = routing.inventory.labels(opening.workspace, account)
    if account and routing.inventory.ignores(opening.workspace, account):
        return DryRun(labels, is_ignored=True)
    asked = tuple(ask(routing.routes, opening, account, labels))
    matching = (route.to for route, differs in asked if differs is None)
    named = {name for to in matching for name in to} if routing.routes else set(routing.receivers)
    without = {name for name in named if routing.receivers[name].address(labels) is None}
    routed, recipients = (
        _planned(opening, account, routing, present) for present in (Mutes(), mutes)
    )
    ends = ((it, mutes.until(opening, account, labels, it.receiver)) for it in routed)
    steps = (
        (after, replace(opening, type=EventType.ESCALATED, detail=str(after)))
        for after in steps_of(opening, account, routing)
    )
    return DryRun(
        labels,
        asked,
        recipients,
        stands_in=bool(routed) and named == without,
        without_address=tuple(sorted(without)),
        held=tuple((it, until) for it, until in ends if until is not None),
        steps=tuple((after, _planned(step, account, routing, Mutes())) for after, step in steps),
    )


def _planned(
    event: Event, account: Account | None, routing: Routing, mutes: Mutes
) -> tuple[Recipient, ...]:
    planned = plan(
        [event],
        audiences={},
        routing=routing,
        accounts={account.id: account} if account else {},
        group_over=1,
        mutes=mutes,
    )
    return tuple(message.recipient for message in planned.messages)

"""What people do about incidents: they take one over, or give it back."""

from collections.abc import Callable, Iterable
from dataclasses import replace

from monitor.core.act import Act
from monitor.core.draft import Decision, Draft
from monitor.core.model import EventType, Incident, Micros, Reason, Workspace


def acknowledge(
    incidents: Iterable[Incident], act: Act, *, until: Micros | None, new_id: Callable[[], str]
) -> Decision:
    """Let the actor of *act* have the open *incidents* of its workspace, *until* then.

    Whoever has one already has it no more. What was queued for those of a step may be dropped now:
    once nobody has it any more, they are told as after a mute.
    """
    return _decide(
        (
            replace(
                incident,
                acknowledged_by=act.actor,
                acknowledged_way=act.way,
                acknowledged_login=act.claimed_by,
                acknowledged_at=act.at,
                acknowledged_until=until,
                acknowledged_reason=act.reason or None,
                muted_until=act.at if incident.escalated is not None else incident.muted_until,
            )
            for incident in incidents
        ),
        act,
        Reason.TAKEN_OVER,
        new_id,
    )


def give_back(incidents: Iterable[Incident], act: Act, *, new_id: Callable[[], str]) -> Decision:
    """Let nobody have the open *incidents* of its workspace any more, whoever has them."""
    held = (it for it in incidents if it.acknowledged_at is not None)
    return _decide((it.given_back() for it in held), act, Reason.GIVEN_BACK, new_id)


def _decide(
    changed: Iterable[Incident], act: Act, reason: Reason, new_id: Callable[[], str]
) -> Decision:
    draft = Draft(Workspace(act.workspace or ""), act.at, new_id)
    detail = ": ".join(filter(None, (act.actor, act.reason)))
    for incident in changed:
        draft.emit(EventType.ACKNOWLEDGED, incident, reason, detail)
    draft.events = [replace(event, act_id=act.id) for event in draft.events]
    return draft.decision(None, {}, together=True)

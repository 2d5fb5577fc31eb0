"""Where every unit of work ends: one commit writes what was decided, then it is published.

decision ─► record (in the transaction): rows, what is outdated, whom it goes to, the outbox
         ─► publish (after the commit): metrics, log, and who is woken
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

import structlog
from sqlalchemy import Connection

from monitor import muting
from monitor.core.decide import recurrence
from monitor.core.decide.due import Due, schedule
from monitor.core.decide.outage import CAUSES
from monitor.core.decide.recurrence import Opening
from monitor.core.decide.sessions import LINK_WAIT
from monitor.core.draft import Decision
from monitor.core.duration import Duration
from monitor.core.model import (
    ALL_WORKSPACES,
    API,
    SUBSCRIPTION,
    Account,
    Cause,
    Event,
    EventType,
    Incident,
    Micros,
    Reason,
    Resolution,
    Workspace,
)
from monitor.core.mutes import Mutes
from monitor.core.plan import Plan, plan
from monitor.core.policy import IncidentPolicy
from monitor.core.route import Routing
from monitor.core.runtime import Runtime
from monitor.metrics import Metrics
from monitor.metrics.families import INCIDENTS, INCIDENTS_OPEN, RECOVERY, UNROUTED
from monitor.store import incidents, outbox, outside, session_intents, workspaces
from monitor.store.db import Store
from monitor.store.outbox import Settled
from monitor.store.session_intents import SessionIntent

log = structlog.get_logger("incidents")


@dataclass(frozen=True, slots=True)
class Recorder:
    """What units of work record with.

    *replica* is this monitor's id. *wake* wakes receivers for which something is queued; *look*
    lets a workspace be polled now, and its sessions be asked for and about.
    """

    replica: str
    store: Store
    metrics: Metrics
    runtime: Runtime
    wake: Callable[[Collection[str]], None] = lambda _: None
    look: Callable[[str], None] = lambda _: None

    def count(self, settled: Iterable[Settled]) -> None:
        """Count notifications that came to an end."""
        for notification in settled:
            self.metrics.settled(notification.receiver, notification.event, notification.outcome)


@dataclass(frozen=True, slots=True)
class Recorded:
    """What one commit came to.

    *cancelled* are notifications that it made needless, *unrouted* events that nobody will hear of,
    *alerted* those that are told in our own log, *receivers* those that have something to send now,
    *has_intents* whether sessions are to be asked for.
    """

    decision: Decision
    cancelled: tuple[Settled, ...] = ()
    unrouted: tuple[Event, ...] = ()
    alerted: frozenset[str] = frozenset()
    receivers: frozenset[str] = frozenset()
    open_incidents: Mapping[Cause, int] = field(default_factory=dict)
    has_intents: bool = False


def record(
    tx: Connection,
    before: Workspace,
    decision: Decision,
    *,
    policy: IncidentPolicy,
    routing: Routing,
    now: Micros,
    new_id: Callable[[], str],
    term: int | None,
    cooldown: Duration | None = None,
    recheck_at: Micros | None = None,
) -> Recorded:
    """Write *decision* and queue what people are to hear of it, in the transaction *tx*.

    *before* is what was recorded of the workspace, as far as the decision needed it; *cooldown* is
    how long no second session is asked for, *recheck_at* when what is due and is not done is looked
    at again. Raise LeaseLostError if *term* is not the latest.
    """
    decision = _mark_recurring(tx, decision, before, policy, now=now)
    workspaces.record(tx, decision, before.name, term)
    accounts = {**before.accounts, **{account.id: account for account in decision.accounts}}
    cancelled = outbox.cancel_outdated(tx, decision, now=now)
    muted = muting.active(tx, routing, now) if decision.events or decision.incidents else Mutes()
    is_of_all = any(event.workspace == ALL_WORKSPACES for event in decision.events)
    planned = plan(
        decision.events,
        audiences=outbox.audiences(tx, _known_incidents(decision.events)),
        routing=routing,
        accounts=accounts,
        group_over=1 if decision.baseline or decision.together else policy.group_over,
        affected=workspaces.load_failing(tx, CAUSES) if is_of_all else (),
        mutes=muted,
    )
    decision = _schedule(
        decision,
        planned,
        accounts,
        policy=policy,
        routing=routing,
        mutes=muted,
        now=now,
        recheck_at=recheck_at,
    )
    incidents.write(tx, decision.incidents)
    incidents.write_events(tx, decision.events)
    for incident_id, recipient in planned.rerouted:
        cancelled += outbox.cancel_rerouted(tx, incident_id, recipient, now=now)
    intents = (
        SessionIntent(new_id(), incident.workspace, incident.subject, incident.id)
        for incident in decision.wanted
    )
    added = session_intents.add(tx, intents, cooldown=cooldown or Duration(0), now=now)
    waits = {intent.incident_id: now + LINK_WAIT for intent in added}
    outbox.queue(tx, planned.messages, now=now, waits=waits, new_id=new_id)
    if is_of_all:
        outside.note(tx)  # another replica may hold what is of all workspaces
    receivers = {message.recipient.receiver for message in planned.messages}
    receivers.update(notification.receiver for notification in cancelled)
    for incident_id in decision.released:
        receivers |= outbox.release(tx, incident_id, now=now)
    return Recorded(
        decision,
        cancelled=tuple(cancelled),
        unrouted=planned.unrouted,
        alerted=frozenset(
            event.id
            for message in planned.messages
            if routing.receivers[message.recipient.receiver].is_log
            for event in message.events
        ),
        receivers=frozenset(receivers),
        open_incidents=incidents.open_by_cause(tx, before.name) if decision.workspace else {},
        has_intents=bool(added),
    )


def _mark_recurring(
    tx: Connection, decision: Decision, before: Workspace, policy: IncidentPolicy, *, now: Micros
) -> Decision:
    opened = recurrence.opened(decision)
    if not opened:
        return decision
    former = recurrence.former_ids((*before.removed.values(), *decision.accounts))
    subjects: dict[str, set[str]] = {}
    for incident in opened:
        names = recurrence.subjects(incident, former)
        subjects.setdefault(incident.workspace, set()).update(names)
    since, earlier = now - policy.recurring.within, list[Opening]()
    for workspace, of_workspace in subjects.items():
        earlier += incidents.opened_since(tx, workspace, of_workspace, since=since)
    return recurrence.mark_recurring(decision, former, earlier, policy.recurring)


def _schedule(
    decision: Decision,
    planned: Plan,
    accounts: Mapping[str, Account],
    *,
    policy: IncidentPolicy,
    routing: Routing,
    mutes: Mutes,
    now: Micros,
    recheck_at: Micros | None,
) -> Decision:
    """Return *decision*, of which so much is told as *planned*, with what is due next.

    That a mute ended is no event if there was nothing to tell.
    """
    queued = {event.id for message in planned.messages for event in message.events}
    telling = {event.incident_id for message in planned.messages for event in message.events}
    return replace(
        decision,
        events=tuple(
            replace(event, untold="\n".join(planned.untold.get(event.id, ())))
            for event in decision.events
            if event.reason is not Reason.MUTE_ENDED or event.id in queued
        ),
        incidents=tuple(
            schedule(
                Due(_hold(incident, planned), accounts.get(incident.account_id or "")),
                policy=policy,
                routing=routing,
                mutes=mutes,
                is_told=incident.id in telling,
                now=now,
                recheck_at=recheck_at,
            )
            for incident in decision.incidents
        ),
    )


def _hold(incident: Incident, planned: Plan) -> Incident:
    """Return *incident*, something of which may be held by a mute."""
    until = planned.held.get(incident.id)
    return incident if until is None else replace(incident, muted_until=until)


def _known_incidents(events: Iterable[Event]) -> set[str]:
    """Return the incidents of *events* of which somebody may have heard: not those that open."""
    opened = {event.incident_id for event in events if event.type is EventType.OPENED}
    return {id_ for event in events if (id_ := event.incident_id) and id_ not in opened}


def publish(recorded: Recorded, recorder: Recorder) -> None:
    """Show, log and count what was committed, and wake those who have something to send."""
    decision, metrics = recorded.decision, recorder.metrics
    if decision.workspace is not None:
        metrics.workspace(decision.workspace, recorded.open_incidents)
    for transition in decision.transitions:
        metrics.transition(transition)
    for event in decision.events:
        if event.cause is not None and event.reason is not Reason.MUTE_ENDED:
            metrics.count(INCIDENTS, workspace=event.workspace, cause=event.cause, event=event.type)
        write = log.debug if event.id in recorded.alerted else log.info
        write(
            f"incident {event.type}" if event.incident_id else f"account {event.detail}",
            workspace=event.workspace,
            account=event.account_id,
            incident=event.incident_id,
            cause=event.cause,
            reason=event.reason,
        )
    for incident in decision.incidents:
        if incident.about in (API, SUBSCRIPTION):  # whose workspace this may not be about
            is_open, cause = float(incident.is_open), incident.cause
            metrics.set(INCIDENTS_OPEN, is_open, workspace=incident.workspace, cause=cause)
        if incident.account_id and incident.resolution is Resolution.RECOVERED:
            lasted = (incident.resolved_at or incident.opened_at) - incident.opened_at
            metrics.observe(RECOVERY, lasted / 1_000_000, phase="active")
    recorder.count(recorded.cancelled)
    for event in recorded.unrouted:
        metrics.count(UNROUTED)
        log.warning(
            "nobody is told: no route matches and there is no fallback",
            workspace=event.workspace,
            account=event.account_id,
            what=event.type,
            cause=event.cause,
        )
    if recorded.receivers:
        recorder.wake(recorded.receivers)

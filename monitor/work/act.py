"""What people do, whichever way it comes: one commit of the act and of one workspace's rows.

It is committed by whoever is asked, a command or a monitor, under the lock of the workspace; the
monitor that holds it sees it within a second.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from monitor.core.act import Act
from monitor.core.decide.acts import acknowledge, give_back
from monitor.core.decide.sessions import needs_session
from monitor.core.draft import Decision
from monitor.core.duration import Duration
from monitor.core.errors import ActError
from monitor.core.model import Account, Cause, Event, EventType, Incident, Micros, Reason, Workspace
from monitor.core.mutes import MuteRule
from monitor.core.notification import NotificationState
from monitor.core.policy import IncidentPolicy
from monitor.core.route import Routing
from monitor.store import (
    accounts,
    acts,
    by_hand,
    incidents,
    mutes,
    personal_data,
    session_intents,
    workspaces,
)
from monitor.store.by_hand import ChosenMessage
from monitor.store.mutes import RecordedMute
from monitor.store.outbox import Settled
from monitor.store.session_intents import SessionIntent

from .record import Recorded, record

MAX_SINGLE: Final = 50
"""The accounts of more incidents than these are read all at once."""


@dataclass(frozen=True, slots=True)
class ActRules:
    """The configuration that acts go by."""

    policy: IncidentPolicy
    routing: Routing
    new_id: Callable[[], str]


@dataclass(frozen=True, slots=True)
class Chosen:
    """The incidents that an act is about: those *ids*, or all open ones of a *cause*."""

    ids: Collection[str] = ()
    cause: Cause | None = None

    def load(self, tx: Connection, workspace: str) -> list[Incident]:
        """Return those of them that are open in *workspace*."""
        if self.cause is not None:
            listed: Iterable[Incident] = incidents.load_open(tx, workspace).values()
            return [incident for incident in listed if incident.cause is self.cause]
        loaded = (incidents.load(tx, id_) for id_ in self.ids)
        return [it for it in loaded if it and it.is_open and it.workspace == workspace]


def ack(
    tx: Connection, act: Act, chosen: Chosen, rules: ActRules, *, lasts: Duration | None = None
) -> Recorded:
    """Let the actor of *act* have the *chosen* incidents, for so long as it *lasts*.

    Raise ActError if none of them is open.
    """
    until: Micros | None = None if lasts is None else act.at + lasts
    listed = _load(tx, act, chosen)
    decision = acknowledge(listed, act, until=until, new_id=rules.new_id)
    return _record(tx, act, decision, rules)


def unack(tx: Connection, act: Act, chosen: Chosen, rules: ActRules) -> Recorded:
    """Let nobody have the *chosen* incidents any more; raise ActError if nobody had one."""
    decision = give_back(_load(tx, act, chosen), act, new_id=rules.new_id)
    if not decision.events:
        raise ActError("nobody has taken it over")
    return _record(tx, act, decision, rules)


def accept_name(tx: Connection, act: Act, new_id: Callable[[], str]) -> None:
    """Let the account that *act* is about be matched by the name and url that it has now."""
    acts.write(tx, act)
    accepted = Event(
        id=new_id(),
        type=EventType.NOTICE,
        at=act.at,
        workspace=act.workspace or "",
        account_id=act.subject,
        incident_id=None,
        reason=Reason.ACCEPTED,
        detail=f"its new name was accepted by {act.actor} ({act.way})",
        act_id=act.id,
    )
    workspaces.accept_account(tx, accepted)


def accept_list(tx: Connection, act: Act) -> None:
    """Let the list of its workspace that was refused last be believed.

    Raise ActError if there is none.
    """
    name = act.workspace or ""
    if not workspaces.accept(tx, name, now=act.at, way=act.way, actor=act.actor):
        advice = "see refused_listed in `linkedapi-monitor workspaces --json`"
        raise ActError(f"no list of the workspace {name!r} has been refused; {advice}")
    acts.write(tx, act)


def forget(tx: Connection, act: Act, account: Account, *, salt: str) -> list[Settled]:
    """Erase *account*, and return what was cancelled; its id becomes a hash with *salt*."""
    acts.write(tx, act)
    return personal_data.erase(tx, account, salt=salt, now=act.at)


def mute(tx: Connection, act: Act, rule: MuteRule, until: Micros | None, id_: str) -> None:
    """Mute what *rule* says, which is over *until* then (None: not by itself).

    Raise ActError if there are too many.
    """
    if len(mutes.load(tx, act.at)) >= mutes.MAX_MUTES:
        raise ActError(f"there are {mutes.MAX_MUTES} mutes by command already; end one of them")
    acts.write(tx, act)
    mutes.add(tx, RecordedMute(id_, act.id, rule, until, act.at, act.actor))


def end_mute(tx: Connection, act: Act, word: str) -> RecordedMute:
    """End the mute whose id begins with *word*; raise ActError unless that is one."""
    live = mutes.load(tx, act.at)
    chosen = [it for it in live if it.id == word] or [it for it in live if it.id.startswith(word)]
    if len(chosen) != 1:
        ids = ", ".join(it.id for it in chosen or live) or "there is none"
        raise ActError(f"not exactly one mute by command has an id like {word!r}: {ids}")
    acts.write(tx, act)
    mutes.end(tx, chosen[0].id, by=act.actor, now=act.at)
    return chosen[0]


def _load(tx: Connection, act: Act, chosen: Chosen) -> list[Incident]:
    listed = chosen.load(tx, act.workspace or "")
    if not listed:
        raise ActError(f"nothing of that is open in the workspace {act.workspace!r} any more")
    return listed


def _record(tx: Connection, act: Act, decision: Decision, rules: ActRules) -> Recorded:
    """Write *act* and what was decided of it, whoever holds the workspace."""
    name = act.workspace or ""
    subjects = [it.account_id for it in decision.incidents if it.account_id]
    if len(subjects) > MAX_SINGLE:
        listed = accounts.listed(tx, name)
    else:
        listed = [it for id_ in subjects if (it := accounts.load(tx, name, id_))]
    acts.write(tx, act)
    return record(
        tx,
        Workspace(name, accounts={account.id: account for account in listed}),
        decision,
        policy=rules.policy,
        routing=rules.routing,
        now=act.at,
        new_id=rules.new_id,
        term=workspaces.load_term(tx, name),
    )


def reconnect(tx: Connection, act: Act, chosen: Chosen, new_id: Callable[[], str]) -> list[str]:
    """Have login links asked for; return the ids of the intents.

    Raise ActError if no login brings back any account of the *chosen* incidents.
    """
    listed = [
        (incident, incident.account_id)
        for incident in _load(tx, act, chosen)
        if incident.account_id is not None and _needs_login(tx, incident)
    ]
    if not listed:
        raise ActError("no login link is needed: no such account is signed out of LinkedIn")
    ids = []
    for incident, account_id in listed:
        intent = SessionIntent(new_id(), incident.workspace, account_id, incident.id, act.id)
        ids.append(session_intents.ask(tx, intent, now=act.at))
    about = [(incident.id, incident.account_id, incident.cause) for incident, _ in listed]
    _note(tx, act, about, reason=Reason.ASKED_FOR, new_id=new_id)
    return ids


def _needs_login(tx: Connection, incident: Incident) -> bool:
    return needs_session(accounts.load(tx, incident.workspace, incident.account_id), incident, None)


def retry(
    tx: Connection, act: Act, messages: Sequence[ChosenMessage], new_id: Callable[[], str]
) -> list[str]:
    """Have *messages* tried again now; return the ids of those that are.

    Raise ActError if none of them is pending or dead.
    """
    chosen = _in_state(messages, NotificationState.PENDING, NotificationState.DEAD)
    ids = by_hand.retry(tx, chosen, now=act.at, new_id=new_id)
    if not ids:
        raise ActError("it is queued once more already")
    about = by_hand.incidents_of(tx, chosen)
    _note(tx, act, about, reason=Reason.TRIED_AGAIN, new_id=new_id)
    return ids


def cancel(
    tx: Connection,
    act: Act,
    messages: Sequence[ChosenMessage],
    new_id: Callable[[], str],
    *,
    cause: Cause | None = None,
) -> list[str]:
    """Cancel *messages*, of a group only what is of *cause*; return their ids.

    Raise ActError if none of them is pending.
    """
    chosen = _in_state(messages, NotificationState.PENDING)
    by_hand.cancel(tx, chosen, cause=cause, now=act.at)
    about = [it for it in by_hand.incidents_of(tx, chosen) if cause in (None, it[2])]
    _note(tx, act, about, reason=Reason.CANCELLED, new_id=new_id)
    return [message.id for message in chosen]


def _in_state(messages: Sequence[ChosenMessage], *states: NotificationState) -> list[ChosenMessage]:
    chosen = [message for message in messages if message.state in states]
    if not chosen:
        there = ", ".join(sorted({message.state for message in messages})) or "nothing"
        raise ActError(f"nothing of that is {' or '.join(states)}: {there}")
    return chosen


def _note(
    tx: Connection,
    act: Act,
    about: Iterable[tuple[str, str | None, Cause]],
    *,
    reason: Reason,
    new_id: Callable[[], str],
) -> None:
    """Write *act* into the history of incidents: their ids, accounts and causes."""
    events = [
        Event(
            id=new_id(),
            type=EventType.NOTICE,
            at=act.at,
            workspace=act.workspace or "",
            account_id=account_id,
            incident_id=incident_id,
            reason=reason,
            cause=cause,
            act_id=act.id,
        )
        for incident_id, account_id, cause in about
    ]
    incidents.write_events(tx, events)
    acts.write(tx, act)

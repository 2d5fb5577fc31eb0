"""What people do, whichever way it comes: one commit of the act and of one workspace's rows.

It is committed by whoever is asked, a command or a monitor, under the lock of the workspace; the
monitor that holds it sees it within a second.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from monitor.core.decide.acts import acknowledge, give_back
from monitor.core.draft import Decision
from monitor.core.duration import Duration
from monitor.core.errors import ActError
from monitor.core.model import Act, Cause, Incident, Micros, Workspace
from monitor.core.policy import IncidentPolicy
from monitor.core.route import Routing
from monitor.store import accounts, acts, incidents, workspaces

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

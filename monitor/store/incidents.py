"""Incidents, and the events that happened to them."""

from collections.abc import Iterable
from typing import Any, Final

from sqlalchemy import Connection, Row, text

from monitor.core.decide.recurrence import Opening
from monitor.core.duration import Duration
from monitor.core.model import Cause, EarlierCause, Event, Incident, Micros, Scope, Subject

from . import rows

LOAD: Final = text("SELECT * FROM incident WHERE id = :id")


def load(tx: Connection, id_: str | None) -> Incident | None:
    """Return the incident *id_*, if there is one."""
    row = tx.execute(LOAD, {"id": id_}).one_or_none()
    return None if row is None else from_row(row)


LOAD_OPEN: Final = text("""
SELECT * FROM incident WHERE workspace = :workspace AND resolved_at IS NULL
""")


def load_open(tx: Connection, workspace: str) -> dict[Subject, Incident]:
    """Return the open incidents of *workspace* by what they are about."""
    incidents = map(from_row, tx.execute(LOAD_OPEN, {"workspace": workspace}))
    return {incident.about: incident for incident in incidents}


OPEN_BY_CAUSE: Final = text("""
SELECT cause, COUNT(*) AS incidents FROM incident
WHERE workspace = :workspace AND resolved_at IS NULL GROUP BY cause
""")


def open_by_cause(tx: Connection, workspace: str) -> dict[Cause, int]:
    """Return how many incidents of *workspace* are open, by cause."""
    counts = tx.execute(OPEN_BY_CAUSE, {"workspace": workspace})
    return {Cause(row.cause): row.incidents for row in counts}


COUNT_OPEN: Final = text("""
SELECT workspace, cause, COUNT(*) AS incidents FROM incident
WHERE workspace IN :names AND resolved_at IS NULL GROUP BY workspace, cause
""")


def count_open(tx: Connection, names: Iterable[str]) -> dict[str, dict[str, int]]:
    """Return how many incidents of the workspaces *names* are open, by cause as it is written."""
    counts: dict[str, dict[str, int]] = {}
    for row in rows.execute_portions(tx, COUNT_OPEN, "names", names):
        counts.setdefault(row.workspace, {})[row.cause] = row.incidents
    return counts


NEXT_DUE_AT: Final = text("""
SELECT MIN(next_due_at) FROM incident WHERE next_due_at IS NOT NULL
""")


def next_due_at(tx: Connection) -> Micros | None:
    """Return when an incident of any workspace is due next, be it held; None if none is to come."""
    at: Micros | None = tx.execute(NEXT_DUE_AT).scalar_one()
    return at


_IS_DUE: Final = """
FROM incident CROSS JOIN workspace
WHERE incident.next_due_at <= :by AND incident.resolved_at IS NULL
    AND workspace.name = incident.workspace AND workspace.detached_at IS NULL
    AND workspace.holder = :replica
    AND (incident.scope = 'workspace'
        OR workspace.fresh_until >= :now AND workspace.failing_cause IS NULL)"""
"""SQLite begins with what stands first: few are due, of however many workspaces."""

NOW: Final = Duration(0)

DUE_FIRST: Final = text(f"""
SELECT incident.workspace {_IS_DUE} ORDER BY incident.next_due_at, incident.id LIMIT 1
""")

DUE: Final = text(f"""
SELECT incident.id {_IS_DUE} AND incident.workspace = :workspace
ORDER BY incident.next_due_at, incident.id LIMIT :limit
""")


def due(
    tx: Connection, replica: str, now: Micros, *, within: Duration = NOW, limit: int
) -> tuple[str, list[str]] | None:
    """Return the workspace of *replica* with what has been due longest, and all that is due in it.

    That is incidents by id, those too that are due *within* a while; None if nothing is due. What
    is due of an account is held while nobody knows whether it still holds: the workspace was not
    looked at lately, or fails. Nothing is due of workspaces that left the configuration.
    """
    values = {"replica": replica, "now": now, "limit": limit}
    workspace = tx.execute(DUE_FIRST, {**values, "by": now}).scalar()
    if workspace is None:
        return None
    values |= {"by": now + within, "workspace": workspace}
    return workspace, list(tx.execute(DUE, values).scalars())


OPEN_OF: Final = text("""
SELECT workspace, id FROM incident
WHERE resolved_at IS NULL AND workspace IN (SELECT name FROM workspace WHERE holder = :replica)
ORDER BY workspace, opened_at, id
""")


def load_open_of(tx: Connection, replica: str) -> dict[str, list[str]]:
    """Return the ids of all open incidents of the workspaces that *replica* holds."""
    ids: dict[str, list[str]] = {}
    for row in tx.execute(OPEN_OF, {"replica": replica}):
        ids.setdefault(row.workspace, []).append(row.id)
    return ids


HOLD_BLINDNESS: Final = text("""
UPDATE incident SET next_due_at = :until
WHERE workspace IN :names AND scope = 'workspace' AND resolved_at IS NULL
    AND next_due_at < :until
""")


def hold_blindness(tx: Connection, names: Iterable[str], *, until: Micros) -> None:
    """Remind nobody of the blindness of workspaces before they have been polled, *until* then."""
    rows.execute_portions(tx, HOLD_BLINDNESS, "names", names, until=until)


POSTPONE: Final = text("""
UPDATE incident SET next_due_at = :until WHERE next_due_at <= :now AND id = :id
""")


def postpone(tx: Connection, incident_id: str, *, now: Micros, until: Micros) -> None:
    """Postpone a due incident, so that others get their turn."""
    tx.execute(POSTPONE, {"id": incident_id, "now": now, "until": until})


OPENED_SINCE: Final = text("""
SELECT scope, subject, cause, earlier FROM incident
WHERE workspace = :workspace AND subject IN :subjects AND opened_at > :since
""")


def opened_since(
    tx: Connection, workspace: str, subjects: Iterable[str], *, since: Micros
) -> list[Opening]:
    """Return the incidents of *workspace* about *subjects* that opened later than *since*."""
    values = {"workspace": workspace, "since": since}
    opened = rows.execute_portions(tx, OPENED_SINCE, "subjects", subjects, **values)
    return [
        Opening(workspace, Scope(row.scope), row.subject, _opening_cause(row)) for row in opened
    ]


def _opening_cause(row: Row[Any]) -> Cause:
    return Cause(row.earlier.split(":")[0] if row.earlier else row.cause)


COLUMNS: Final = (*rows.columns(Incident), "earlier")

WRITE: Final = text(rows.upsert("incident", COLUMNS, key=("id",)))


def write(tx: Connection, incidents: Iterable[Incident]) -> None:
    """Write *incidents*, new ones or not."""
    rows.execute_many(
        tx,
        WRITE,
        ({**rows.values(incident), "earlier": _write_earlier(incident)} for incident in incidents),
    )


def _write_earlier(incident: Incident) -> str:
    return " ".join(f"{cause.cause}:{int(cause.lasted)}" for cause in incident.earlier)


def from_row(row: Row[Any], prefix: str = "") -> Incident:
    """Return the incident in a *row*, whose columns have this *prefix*."""
    causes = (cause.split(":") for cause in getattr(row, f"{prefix}earlier").split())
    earlier = (EarlierCause(Cause(cause), Duration(lasted)) for cause, lasted in causes)
    return rows.read(Incident, row, prefix, earlier=tuple(earlier))


WRITE_EVENT: Final = text(rows.insert("event", rows.columns(Event)))


def write_events(tx: Connection, events: Iterable[Event]) -> None:
    """Add *events* to the history."""
    rows.execute_many(tx, WRITE_EVENT, map(rows.values, events))

"""Incidents, and the events that happened to them."""

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any, Final

from sqlalchemy import Connection, Row, text

from monitor.core.model import Cause, Event, Incident, Micros, Resolution, Scope, Status

READING: Final = "reading"
"""The subject of a workspace's incident, where an account's has the account id."""

LOAD: Final = text("SELECT * FROM incident WHERE id = :id")


def load(tx: Connection, id_: str) -> Incident | None:
    """Return the incident *id_*."""
    row = tx.execute(LOAD, {"id": id_}).one_or_none()
    return None if row is None else _incident(row)


LOAD_OPEN: Final = text("""
SELECT * FROM incident WHERE workspace = :workspace AND resolved_at IS NULL
""")


def load_open(tx: Connection, workspace: str) -> dict[str, Incident]:
    """Return the open incidents of *workspace* by id."""
    return {row.id: _incident(row) for row in tx.execute(LOAD_OPEN, {"workspace": workspace})}


OPEN_BY_CAUSE: Final = text("""
SELECT cause, COUNT(*) AS incidents FROM incident
WHERE workspace = :workspace AND resolved_at IS NULL GROUP BY cause
""")


def open_by_cause(tx: Connection, workspace: str) -> dict[Cause, int]:
    """Return how many incidents of *workspace* are open, by cause."""
    rows = tx.execute(OPEN_BY_CAUSE, {"workspace": workspace})
    return {Cause(row.cause): row.incidents for row in rows}


DUE: Final = text("""
SELECT id FROM incident
WHERE next_due_at <= :now AND resolved_at IS NULL AND workspace = (
    SELECT incident.workspace FROM incident
    JOIN workspace ON workspace.name = incident.workspace AND workspace.detached_at IS NULL
    WHERE incident.next_due_at <= :now AND incident.resolved_at IS NULL
    ORDER BY incident.next_due_at LIMIT 1
)
ORDER BY next_due_at, id LIMIT :limit
""")


def due(tx: Connection, now: Micros, *, limit: int) -> list[str]:
    """Return the incident that has been due longest and those due in its workspace, by id.

    Nothing is due of workspaces that left the configuration.
    """
    return list(tx.execute(DUE, {"now": now, "limit": limit}).scalars())


POSTPONE: Final = text("""
UPDATE incident SET next_due_at = :until WHERE next_due_at <= :now AND id = :id
""")


def postpone(tx: Connection, incident_id: str, *, now: Micros, until: Micros) -> None:
    """Move a due incident out of the way, so that others get their turn."""
    tx.execute(POSTPONE, {"id": incident_id, "now": now, "until": until})


WRITE: Final = text("""
INSERT INTO incident (
    id, workspace, scope, subject, account_id, cause, previous_cause, status, raw_status, detail,
    opened_at, acknowledged_by, acknowledged_at, resolved_at, resolution, reminders, next_due_at
) VALUES (
    :id, :workspace, :scope, :subject, :account_id, :cause, :previous_cause, :status, :raw_status,
    :detail, :opened_at, :acknowledged_by, :acknowledged_at, :resolved_at, :resolution, :reminders,
    :next_due_at
)
ON CONFLICT (id) DO UPDATE SET
    cause = excluded.cause, previous_cause = excluded.previous_cause, status = excluded.status,
    raw_status = excluded.raw_status, detail = excluded.detail,
    acknowledged_by = excluded.acknowledged_by, acknowledged_at = excluded.acknowledged_at,
    resolved_at = excluded.resolved_at, resolution = excluded.resolution,
    reminders = excluded.reminders, next_due_at = excluded.next_due_at
""")


def write(tx: Connection, incidents: Iterable[Incident]) -> None:
    """Write *incidents*, new ones or not."""
    rows = [
        {**asdict(incident), "subject": incident.account_id or READING} for incident in incidents
    ]
    if rows:
        tx.execute(WRITE, rows)


WRITE_EVENT: Final = text("""
INSERT INTO event (id, type, at, workspace, account_id, incident_id, cause, detail)
VALUES (:id, :type, :at, :workspace, :account_id, :incident_id, :cause, :detail)
""")


def write_events(tx: Connection, events: Iterable[Event]) -> None:
    """Add *events* to the history."""
    rows = [asdict(event) for event in events]
    if rows:
        tx.execute(WRITE_EVENT, rows)


def _incident(row: Row[Any]) -> Incident:
    return Incident(
        id=row.id,
        workspace=row.workspace,
        scope=Scope(row.scope),
        account_id=row.account_id,
        cause=Cause(row.cause),
        previous_cause=Cause(row.previous_cause) if row.previous_cause else None,
        status=Status(row.status) if row.status else None,
        raw_status=row.raw_status,
        detail=row.detail,
        opened_at=row.opened_at,
        acknowledged_by=row.acknowledged_by,
        acknowledged_at=row.acknowledged_at,
        resolved_at=row.resolved_at,
        resolution=Resolution(row.resolution) if row.resolution else None,
        reminders=row.reminders,
        next_due_at=row.next_due_at,
    )

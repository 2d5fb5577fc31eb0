"""What is recorded about workspaces, accounts and incidents: loading it and writing a decision."""

from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any, Final

from sqlalchemy import Connection, Row, text

from monitor.core.draft import Decision
from monitor.core.model import (
    Account,
    Cause,
    Event,
    FailureStreak,
    Incident,
    Micros,
    Resolution,
    Scope,
    Session,
    Status,
    Transition,
    Workspace,
)
from monitor.core.secret import Secret

from .db import LeaseLostError

READING: Final = "blind"
"""The subject of a workspace's incident, where an account's has the account id."""

LOAD_WORKSPACE: Final = text("SELECT * FROM workspace WHERE name = :name")

LOAD_ACCOUNTS: Final = text("""
SELECT account.*, session.session_id, session.link, session.workspace AS has_session
FROM account
LEFT JOIN session ON session.workspace = account.workspace AND session.account_id = account.id
WHERE account.workspace = :workspace AND account.removed_at IS NULL
""")

LOAD_ACCOUNT: Final = text("""
SELECT account.*, session.session_id, session.link, session.workspace AS has_session
FROM account
LEFT JOIN session ON session.workspace = account.workspace AND session.account_id = account.id
WHERE account.workspace = :workspace AND account.id = :id
""")

WRITE_WORKSPACE: Final = text("""
UPDATE workspace
SET baseline_at = :baseline_at, last_good_at = :last_good_at, failing_cause = :failing_cause,
    failing_detail = :failing_detail, failing_since = :failing_since,
    failing_cause_polls = :failing_cause_polls,
    incident_id = :incident_id
WHERE name = :name AND term = :term
""")

TERMS: Final = text("SELECT name, term FROM workspace")

WRITE_LIVENESS: Final = text("UPDATE workspace SET last_good_at = :at WHERE name = :name")

IS_FAILING: Final = text("""
SELECT 1 FROM workspace WHERE name = :name AND failing_cause IS NOT NULL
""")

WRITE_ACCOUNT: Final = text("""
INSERT INTO account (
    workspace, id, name, url, country, status, raw_status, since, first_seen_at,
    bad_polls, good_polls, missing_polls, missing_since, changes, incident_id, removed_at
) VALUES (
    :workspace, :id, :name, :url, :country, :status, :raw_status, :since, :first_seen_at,
    :bad_polls, :good_polls, :missing_polls, :missing_since, :changes, :incident_id,
    :removed_at
)
ON CONFLICT (workspace, id) DO UPDATE SET
    name = excluded.name, url = excluded.url, country = excluded.country,
    status = excluded.status, raw_status = excluded.raw_status, since = excluded.since,
    first_seen_at = excluded.first_seen_at,
    bad_polls = excluded.bad_polls, good_polls = excluded.good_polls,
    missing_polls = excluded.missing_polls, missing_since = excluded.missing_since,
    changes = excluded.changes, incident_id = excluded.incident_id,
    removed_at = excluded.removed_at
""")

WRITE_SESSION: Final = text("""
INSERT INTO session (workspace, account_id, session_id, link)
VALUES (:workspace, :account_id, :session_id, :link)
ON CONFLICT (workspace, account_id) DO UPDATE SET
    session_id = excluded.session_id, link = excluded.link
""")

DROP_SESSION: Final = text("""
DELETE FROM session WHERE workspace = :workspace AND account_id = :account_id
""")

WRITE_INCIDENT: Final = text("""
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

WRITE_EVENT: Final = text("""
INSERT INTO event (id, type, at, workspace, account_id, incident_id, reason, cause, detail)
VALUES (:id, :type, :at, :workspace, :account_id, :incident_id, :reason, :cause, :detail)
""")

WRITE_TRANSITION: Final = text("""
INSERT INTO transition (workspace, account_id, at, before_status, after_status)
VALUES (:workspace, :account_id, :at, :before, :after)
ON CONFLICT (workspace, account_id, at) DO NOTHING
""")

OPEN_INCIDENTS: Final = text("""
SELECT * FROM incident WHERE workspace = :workspace AND resolved_at IS NULL
""")

LOAD_INCIDENT: Final = text("SELECT * FROM incident WHERE id = :id")

DUE_INCIDENTS: Final = text("""
SELECT id FROM incident
WHERE next_due_at <= :now AND resolved_at IS NULL AND workspace = (
    SELECT incident.workspace FROM incident
    JOIN workspace ON workspace.name = incident.workspace AND workspace.detached_at IS NULL
    WHERE incident.next_due_at <= :now AND incident.resolved_at IS NULL
    ORDER BY incident.next_due_at LIMIT 1
)
ORDER BY next_due_at, id LIMIT :limit
""")

POSTPONE_INCIDENT: Final = text("""
UPDATE incident SET next_due_at = :until WHERE next_due_at <= :now AND id = :id
""")


def load(tx: Connection, name: str) -> Workspace:
    """Return the recorded state of the workspace *name*; an unknown one is empty."""
    row = tx.execute(LOAD_WORKSPACE, {"name": name}).one_or_none()
    if row is None:
        return Workspace(name)
    accounts = tx.execute(LOAD_ACCOUNTS, {"workspace": name})
    return Workspace(
        name=name,
        baseline_at=row.baseline_at,
        last_good_at=row.last_good_at,
        failing=_failing(row),
        incident_id=row.incident_id,
        accounts={one.id: _account(one) for one in accounts},
    )


def account(tx: Connection, workspace: str, id_: str) -> Account | None:
    """Return what is recorded about an account, removed or not."""
    row = tx.execute(LOAD_ACCOUNT, {"workspace": workspace, "id": id_}).one_or_none()
    return None if row is None else _account(row)


def is_failing(tx: Connection, workspace: str) -> bool:
    """Return whether the latest poll of *workspace* failed."""
    return tx.execute(IS_FAILING, {"name": workspace}).one_or_none() is not None


def open_incidents(tx: Connection, workspace: str) -> dict[str, Incident]:
    """Return the open incidents of *workspace* by id."""
    rows = tx.execute(OPEN_INCIDENTS, {"workspace": workspace})
    return {row.id: _incident(row) for row in rows}


def incident(tx: Connection, id_: str) -> Incident | None:
    """Return the incident *id_*."""
    row = tx.execute(LOAD_INCIDENT, {"id": id_}).one_or_none()
    return None if row is None else _incident(row)


def due_incidents(tx: Connection, now: Micros, *, limit: int) -> list[str]:
    """Return the incident that has been due longest and those due in its workspace, by id.

    Nothing is due of workspaces that left the configuration.
    """
    return list(tx.execute(DUE_INCIDENTS, {"now": now, "limit": limit}).scalars())


def record(tx: Connection, decision: Decision, before: Workspace, term: int | None) -> None:
    """Write *decision*; raise LeaseLostError if another monitor took the workspace over."""
    if decision.workspace is not None:
        _write_workspace(tx, decision.workspace, term)
    _many(tx, WRITE_ACCOUNT, (_account_values(one) for one in decision.accounts))
    _write_sessions(tx, decision.accounts, before.accounts)
    write_incidents(tx, decision.incidents, decision.events)
    _many(tx, WRITE_TRANSITION, (_values(one) for one in decision.transitions))


def _write_workspace(tx: Connection, after: Workspace, term: int | None) -> None:
    failing = after.failing
    values = {
        "name": after.name,
        "term": term,
        "baseline_at": after.baseline_at,
        "last_good_at": after.last_good_at,
        "incident_id": after.incident_id,
        "failing_cause": failing and failing.cause,
        "failing_detail": failing and failing.detail,
        "failing_since": failing and failing.since,
        "failing_cause_polls": failing and failing.cause_polls,
    }
    if tx.execute(WRITE_WORKSPACE, values).rowcount != 1:
        raise _lost(after.name)


def write_incidents(tx: Connection, incidents: Iterable[Incident], events: Iterable[Event]) -> None:
    """Write incidents and what happened to them."""
    _many(tx, WRITE_INCIDENT, (_incident_values(one) for one in incidents))
    _many(tx, WRITE_EVENT, (_values(one) for one in events))


def write_session(tx: Connection, workspace: str, account_id: str, session: Session) -> None:
    """Write the session of an account whose incident is open."""
    tx.execute(WRITE_SESSION, _session_values(workspace, account_id, session))


def check_terms(tx: Connection, claims: Mapping[str, int]) -> None:
    """Raise LeaseLostError unless each claim (its term by workspace) is the latest."""
    terms = {row.name: row.term for row in tx.execute(TERMS)}
    for name, term in claims.items():
        if terms.get(name) != term:
            raise _lost(name)


def write_liveness(tx: Connection, good: Mapping[str, Micros]) -> None:
    """Write when each workspace was last read well."""
    _many(tx, WRITE_LIVENESS, ({"name": name, "at": at} for name, at in good.items()))


def postpone(tx: Connection, incident_id: str, *, now: Micros, until: Micros) -> None:
    """Move a due incident out of the way, so that others get their turn."""
    tx.execute(POSTPONE_INCIDENT, {"id": incident_id, "now": now, "until": until})


def _lost(workspace: str) -> LeaseLostError:
    return LeaseLostError(
        f"another monitor took over the workspace {workspace!r} in this database;"
        " run one monitor a database"
    )


def _many(tx: Connection, statement: Any, rows: Iterable[dict[str, Any]]) -> None:
    values = list(rows)
    if values:
        tx.execute(statement, values)


def _write_sessions(
    tx: Connection, accounts: Iterable[Account], before: Mapping[str, Account]
) -> None:
    for one in accounts:
        old = before[one.id].session if one.id in before else None
        if one.session == old:
            continue
        if one.session is None:
            tx.execute(DROP_SESSION, {"workspace": one.workspace, "account_id": one.id})
        else:
            write_session(tx, one.workspace, one.id, one.session)


def _session_values(workspace: str, account_id: str, session: Session) -> dict[str, Any]:
    return {
        "workspace": workspace,
        "account_id": account_id,
        "session_id": session.id,
        "link": session.link.reveal() if session.link else None,
    }


def _failing(row: Row[Any]) -> FailureStreak | None:
    if row.failing_cause is None:
        return None
    return FailureStreak(
        cause=Cause(row.failing_cause),
        detail=row.failing_detail,
        since=row.failing_since,
        cause_polls=row.failing_cause_polls,
    )


def _account(row: Row[Any]) -> Account:
    session = None
    if row.has_session is not None:
        session = Session(row.session_id, Secret(row.link) if row.link else None)
    return Account(
        workspace=row.workspace,
        id=row.id,
        name=row.name,
        url=row.url,
        country=row.country,
        status=Status(row.status),
        raw_status=row.raw_status,
        since=row.since,
        first_seen_at=row.first_seen_at,
        bad_polls=row.bad_polls,
        good_polls=row.good_polls,
        missing_polls=row.missing_polls,
        missing_since=row.missing_since,
        changes=tuple(int(at) for at in row.changes.split()),
        incident_id=row.incident_id,
        session=session,
        removed_at=row.removed_at,
    )


def _account_values(one: Account) -> dict[str, Any]:
    return {**_values(one), "session": None, "changes": " ".join(map(str, one.changes))}


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


def _incident_values(one: Incident) -> dict[str, Any]:
    return {**_values(one), "subject": one.account_id or READING}


def _values(one: Account | Incident | Event | Transition) -> dict[str, Any]:
    """Return the fields by name: the columns are called alike."""
    return {field.name: getattr(one, field.name) for field in fields(one)}

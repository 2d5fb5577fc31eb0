"""What is recorded of one incident: its events, who was told of them, and with which answer."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any, Final

from sqlalchemy import Connection, Row, text

from monitor.core.act import Act
from monitor.core.history import (
    SHOWN_ATTEMPTS,
    Heard,
    History,
    LinkRequest,
    PastAttempt,
    PastEvent,
    PastNotification,
)
from monitor.core.model import Event, Incident

from . import accounts, acts, incidents, rows, sessions

MAX_NOTIFICATIONS: Final = 1000
"""So many notifications of an incident are read, the latest; a group may have had many."""

MAX_REQUESTS: Final = 20
"""So many of the latest requests for a login link are read."""

MAX_ACTS: Final = 100
"""So many of the latest acts are read that no event followed from."""

FIRST_EVENT: Final = text("SELECT * FROM event WHERE incident_id = :id ORDER BY at, id LIMIT 1")

EVENTS: Final = text("""
SELECT * FROM event WHERE incident_id = :id ORDER BY at DESC, id DESC LIMIT :limit
""")

COUNT_EVENTS: Final = text("SELECT COUNT(*) FROM event WHERE incident_id = :id")

NOTIFICATIONS: Final = text("""
SELECT notification.*, message.attempts, message.next_attempt_at
FROM notification JOIN message ON message.id = notification.message_id
WHERE notification.incident_id = :id
ORDER BY notification.position DESC, notification.id LIMIT :limit
""")

ATTEMPTS: Final = text("""
SELECT attempt.* FROM message JOIN attempt ON attempt.message_id = message.id
WHERE message.id IN :ids AND attempt.number > message.attempts - :shown
ORDER BY attempt.message_id, attempt.number
""")

HEARD: Final = text("""
SELECT receiver, address, at FROM heard WHERE incident_id = :id
ORDER BY at, receiver, address LIMIT :limit
""")

ACTS: Final = text("""
SELECT * FROM act
WHERE workspace = :workspace AND subject = :subject AND at >= :since
    AND (CAST(:until AS BIGINT) IS NULL OR at <= :until OR act = 'forget')
ORDER BY at DESC LIMIT :limit
""")
"""What concerns an account, or its workspace, at the time; most acts are of an event."""

REQUESTS: Final = text("""
SELECT at, outcome FROM session_intent
WHERE workspace = :workspace AND account_id = :account_id AND incident_id = :id
ORDER BY at DESC LIMIT :limit
""")


def load(tx: Connection, incident_id: str, *, limit: int) -> History | None:
    """Return the history of an incident with its first and its latest events, *limit* in all."""
    incident = incidents.load(tx, incident_id)
    if incident is None:
        return None
    of_this = {"id": incident_id}
    listed = list(tx.execute(EVENTS, {**of_this, "limit": limit}))[::-1]
    count = tx.execute(COUNT_EVENTS, of_this).scalar_one()
    if count > limit:
        listed[:1] = tx.execute(FIRST_EVENT, of_this)
    notifications = _notifications(tx, incident_id)
    workspace, account_id = incident.workspace, incident.account_id
    about = {**of_this, "workspace": workspace, "account_id": account_id}
    requests = tx.execute(REQUESTS, {**about, "limit": MAX_REQUESTS})
    heard = tx.execute(HEARD, {**of_this, "limit": MAX_NOTIFICATIONS})
    session = sessions.load(tx, workspace, account_id) if incident.is_open else None
    return History(
        incident=incident,
        account=accounts.load(tx, workspace, account_id),
        link=session.link if session else None,
        heard=tuple(rows.read(Heard, row) for row in heard),
        events=tuple(
            PastEvent(rows.read(Event, row), tuple(notifications[row.id])) for row in listed
        ),
        left_out=max(0, count - limit),
        acts=_acts(tx, incident, (row.act_id for row in listed)),
        link_requests=tuple(rows.read(LinkRequest, row) for row in requests),
    )


def _acts(tx: Connection, incident: Incident, ids: Iterable[str | None]) -> tuple[Act, ...]:
    """Return the acts *ids*, and what else people did about *incident*, the oldest first."""
    values = {
        "workspace": incident.workspace,
        "subject": incident.subject,
        "since": incident.opened_at,
        "until": incident.resolved_at,
        "limit": MAX_ACTS,
    }
    by_id = {row.id: rows.read(Act, row) for row in tx.execute(ACTS, values)}
    by_id |= acts.load(tx, filter(None, ids))
    return tuple(sorted(by_id.values(), key=lambda act: (act.at, act.id)))


def _notifications(tx: Connection, incident_id: str) -> dict[str, list[PastNotification]]:
    """Return the latest notifications of an incident, in their order, by event."""
    limited = {"id": incident_id, "limit": MAX_NOTIFICATIONS}
    listed = tx.execute(NOTIFICATIONS, limited).all()
    ids = dict.fromkeys(row.message_id for row in listed)
    attempts: dict[str, list[Row[Any]]] = defaultdict(list)
    for row in rows.execute_portions(tx, ATTEMPTS, "ids", ids, shown=SHOWN_ATTEMPTS):
        attempts[row.message_id].append(row)
    by_event: dict[str, list[PastNotification]] = defaultdict(list)
    for row in listed:
        tried = tuple(rows.read(PastAttempt, it) for it in attempts[row.message_id])
        by_event[row.event_id].insert(0, rows.read(PastNotification, row, tried=tried))
    return by_event

"""What people ask the database: accounts, incidents and deliveries, as rows ready to print."""

from typing import Any, Final

from sqlalchemy import Connection, text

ACCOUNTS: Final = text("""
SELECT account.workspace, account.id, account.name, account.url, account.country, account.status,
    account.raw_status, account.since, workspace.last_good_at AS as_of,
    account.matched_name, account.matched_url, account.rules_told_at,
    incident.id AS incident_id, session.link
FROM account
JOIN workspace ON workspace.name = account.workspace
LEFT JOIN session ON session.workspace = account.workspace AND session.account_id = account.id
LEFT JOIN incident ON incident.workspace = account.workspace AND incident.scope = 'account'
    AND incident.subject = account.id AND incident.resolved_at IS NULL
WHERE account.removed_at IS NULL AND workspace.detached_at IS NULL
ORDER BY account.workspace, account.status = 'active', account.name, account.id
""")


def accounts(tx: Connection) -> list[dict[str, Any]]:
    """Return every account that is listed now, the bad ones of each workspace first."""
    return [dict(row) for row in tx.execute(ACCOUNTS).mappings()]


RENAMED: Final = text("""
SELECT account.* FROM account JOIN workspace ON workspace.name = account.workspace
WHERE account.rules_told_at IS NOT NULL AND workspace.detached_at IS NULL
ORDER BY account.workspace, account.id
""")


def renamed_accounts(tx: Connection) -> list[dict[str, Any]]:
    """Return the accounts that other rules would match as they are called now."""
    return [dict(row) for row in tx.execute(RENAMED).mappings()]


WORKSPACES: Final = text("""
SELECT workspace.name, workspace.last_good_at AS as_of, workspace.failing_cause,
    workspace.failing_since, workspace.failing_detail, workspace.refused_listed,
    (SELECT COUNT(*) FROM account
        WHERE account.workspace = workspace.name AND account.removed_at IS NULL) AS accounts,
    replica.name AS holder, CASE WHEN replica.id IS NOT NULL THEN workspace.held_since END
        AS held_since
FROM workspace LEFT JOIN replica ON replica.id = workspace.holder
WHERE workspace.detached_at IS NULL AND workspace.name <> '*' ORDER BY workspace.name
""")


def workspaces(tx: Connection) -> list[dict[str, Any]]:
    """Return every workspace that is watched, its holder, and how many its refused list has."""
    return [dict(row) for row in tx.execute(WORKSPACES).mappings()]


_INCIDENTS: Final = """
SELECT incident.id, incident.workspace, incident.scope, incident.cause, incident.opened_at,
    CASE incident.scope WHEN 'account' THEN incident.subject END AS account_id,
    incident.acknowledged_by, incident.resolved_at, incident.resolution,
    account.name AS account_name, incident.detail
FROM incident
LEFT JOIN account
    ON account.workspace = incident.workspace
    AND incident.scope = 'account' AND account.id = incident.subject
WHERE incident.resolved_at IS {}
ORDER BY incident.opened_at DESC, incident.id
LIMIT :limit
"""

OPEN: Final = text(_INCIDENTS.format("NULL"))

ENDED: Final = text(_INCIDENTS.format("NOT NULL"))


def incidents(tx: Connection, *, ended: bool, limit: int) -> list[dict[str, Any]]:
    """Return open incidents (and behind them *ended* ones), newest first."""
    rows = list(tx.execute(OPEN, {"limit": limit}).mappings())
    if ended:
        rows += tx.execute(ENDED, {"limit": limit - len(rows)}).mappings()
    return [dict(row) for row in rows]


DELIVERIES: Final = text("""
SELECT notification.id, notification.message_id, notification.workspace,
    account.name AS account_name, notification.incident_id, notification.event,
    notification.receiver, notification.state, notification.reason, message.attempts,
    CASE WHEN receiver.not_before > message.next_attempt_at THEN receiver.not_before
        ELSE message.next_attempt_at END AS next_attempt_at,
    attempt.reason AS last_reason,
    COALESCE(attempt.answer, attempt.reason) AS last_answer, message.created_at
FROM notification
JOIN message ON message.id = notification.message_id
LEFT JOIN receiver ON receiver.name = notification.receiver
LEFT JOIN attempt ON attempt.message_id = message.id AND attempt.number = (
    SELECT MAX(number) FROM attempt WHERE attempt.message_id = message.id
)
LEFT JOIN account
    ON account.workspace = notification.workspace AND account.id = notification.subject
ORDER BY notification.position DESC
LIMIT :limit
""")


def deliveries(tx: Connection, *, limit: int) -> list[dict[str, Any]]:
    """Return the latest notifications and how their messages fare."""
    return [dict(row) for row in tx.execute(DELIVERIES, {"limit": limit}).mappings()]

"""Retention: what ended long ago is deleted."""

from typing import Final

from sqlalchemy import Connection, text

from monitor.core.model import Micros

DELETE_ENDED: Final = (
    text("""
    DELETE FROM incident WHERE resolved_at < :before AND NOT EXISTS (
        SELECT 1 FROM notification
        WHERE notification.incident_id = incident.id AND notification.settled_at IS NULL
    )
    """),
    text("DELETE FROM session_intent WHERE at < :before AND outcome NOT IN ('wanted', 'calling')"),
    text("DELETE FROM transition WHERE at < :before"),
    text("DELETE FROM account WHERE removed_at < :before"),
    text("""
    DELETE FROM workspace WHERE detached_at < :before AND NOT EXISTS (
        SELECT 1 FROM account WHERE account.workspace = workspace.name
    )
    """),
    text("""
    DELETE FROM event WHERE at < :before AND (
        incident_id IS NULL OR incident_id IN (
            SELECT id FROM incident WHERE resolved_at IS NOT NULL
        )
    ) AND NOT EXISTS (
        SELECT 1 FROM notification
        WHERE notification.event_id = event.id AND notification.settled_at IS NULL
    )
    """),
    text("DELETE FROM message WHERE settled_at < :before"),
)


def prune(tx: Connection, before: Micros) -> None:
    """Delete what ended before *before*: incidents with their history, messages, accounts."""
    for statement in DELETE_ENDED:
        tx.execute(statement, {"before": before})

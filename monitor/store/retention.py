"""Retention: what ended long ago is deleted, a portion at a time.

What refers to another row is deleted before it, so that no deletion brings others with it.
"""

from typing import Final

from sqlalchemy import Connection, text

from monitor.core.model import Micros

from . import erasure

MAX_ROWS: Final = 500
"""How many rows are deleted in one transaction at the most."""

DELETE_ENDED: Final = (
    text("""
    DELETE FROM notification WHERE id IN (
        SELECT id FROM notification WHERE settled_at < :before LIMIT :limit
    )
    """),
    text("""
    DELETE FROM attempt WHERE (message_id, number) IN (
        SELECT attempt.message_id, attempt.number
        FROM message JOIN attempt ON attempt.message_id = message.id
        WHERE message.settled_at < :before LIMIT :limit
    )
    """),
    text("""
    DELETE FROM message WHERE id IN (
        SELECT id FROM message WHERE settled_at < :before
            AND NOT EXISTS (SELECT 1 FROM notification WHERE message_id = message.id)
            AND NOT EXISTS (SELECT 1 FROM attempt WHERE attempt.message_id = message.id)
        LIMIT :limit
    )
    """),
    text("""
    DELETE FROM event WHERE id IN (
        SELECT event.id FROM event LEFT JOIN incident ON incident.id = event.incident_id
        WHERE event.at < :before AND (event.incident_id IS NULL OR incident.resolved_at IS NOT NULL)
            AND NOT EXISTS (SELECT 1 FROM notification WHERE notification.event_id = event.id)
        LIMIT :limit
    )
    """),
    text("""
    DELETE FROM heard WHERE (incident_id, receiver, address) IN (
        SELECT heard.incident_id, heard.receiver, heard.address
        FROM heard JOIN incident ON incident.id = heard.incident_id
        WHERE incident.resolved_at < :before AND NOT EXISTS (
            SELECT 1 FROM notification WHERE notification.incident_id = incident.id
        ) LIMIT :limit
    )
    """),
    text("""
    DELETE FROM post WHERE id IN (
        SELECT id FROM post
        WHERE NOT EXISTS (SELECT 1 FROM heard WHERE heard.post_id = post.id) LIMIT :limit
    )
    """),
    text("""
    DELETE FROM incident WHERE id IN (
        SELECT id FROM incident WHERE resolved_at < :before
            AND NOT EXISTS (SELECT 1 FROM event WHERE event.incident_id = incident.id)
            AND NOT EXISTS (SELECT 1 FROM heard WHERE heard.incident_id = incident.id)
            AND NOT EXISTS (SELECT 1 FROM notification WHERE incident_id = incident.id)
        LIMIT :limit
    )
    """),
    text("""
    DELETE FROM act WHERE id IN (
        SELECT id FROM act WHERE at < :before
            AND NOT EXISTS (SELECT 1 FROM event WHERE event.act_id = act.id)
        LIMIT :limit
    )
    """),
    text("""
    DELETE FROM mute WHERE id IN (
        SELECT id FROM mute WHERE ended_at < :before OR until_at < :before LIMIT :limit
    )
    """),
    text("""
    DELETE FROM session_intent WHERE id IN (
        SELECT id FROM session_intent
        WHERE at < :before AND outcome NOT IN ('wanted', 'calling') LIMIT :limit
    )
    """),
    text("""
    DELETE FROM transition WHERE (workspace, account_id, at) IN (
        SELECT workspace, account_id, at FROM transition WHERE at < :before LIMIT :limit
    )
    """),
    text("""
    DELETE FROM account WHERE (workspace, id) IN (
        SELECT workspace, id FROM account WHERE removed_at < :before LIMIT :limit
    )
    """),
    text("""
    DELETE FROM workspace WHERE name IN (
        SELECT name FROM workspace WHERE detached_at < :before AND NOT EXISTS (
            SELECT 1 FROM account WHERE account.workspace = workspace.name
        ) LIMIT :limit
    )
    """),
)


def prune(tx: Connection, before: Micros) -> bool:
    """Delete some of what ended before *before*: incidents with their history, messages, accounts.

    Return whether there may be more.
    """
    left = MAX_ROWS
    erasure.note(tx)
    for statement in DELETE_ENDED:
        left -= tx.execute(statement, {"before": before, "limit": left}).rowcount
        if left <= 0:
            return True
    return False

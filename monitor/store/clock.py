"""The clock: the latest time that was recorded, and what follows when the clock went back."""

from typing import Final

from sqlalchemy import Connection, text

from monitor.core.duration import Duration
from monitor.core.model import Micros

MIN_STEP: Final = Duration.parse("1s")
"""A smaller step back of the clock moves nothing."""

LATEST: Final = text("SELECT at FROM clock WHERE id = 1")

ADVANCE: Final = text("""
INSERT INTO clock (id, at) VALUES (1, :now) ON CONFLICT (id) DO UPDATE SET at = excluded.at
""")

SHIFT_BACK: Final = (
    text("UPDATE incident SET next_due_at = next_due_at - :step WHERE next_due_at > :now"),
    text("UPDATE incident SET remind_at = remind_at - :step WHERE remind_at > :now"),
    text("""
    UPDATE message SET next_attempt_at = next_attempt_at - :step WHERE next_attempt_at > :now
    """),
    text("UPDATE message SET claimed_until = claimed_until - :step WHERE claimed_until > :now"),
    text("""
    UPDATE message SET created_at = created_at - :step
    WHERE settled_at IS NULL AND created_at > :now
    """),
    text("UPDATE receiver SET not_before = not_before - :step WHERE not_before > :now"),
    text("UPDATE receiver SET failing_since = :now WHERE failing_since > :now"),
    text("UPDATE receiver SET refused_since = :now WHERE refused_since > :now"),
    text("UPDATE receiver SET last_ok_at = :now WHERE last_ok_at > :now"),
    text("UPDATE session SET unconfirmed_since = :now WHERE unconfirmed_since > :now"),
    text("UPDATE session SET link_since = :now WHERE link_since > :now"),
    text("UPDATE session_intent SET at = at - :step WHERE at > :now"),
    text("UPDATE heard SET at = :now - 1 WHERE at >= :now"),  # still before what came after it
    text("UPDATE heard SET told_at = :now - 1 WHERE told_at >= :now"),
    text("UPDATE event SET at = :now WHERE at > :now"),
    text("UPDATE incident SET opened_at = :now WHERE opened_at > :now AND resolved_at IS NULL"),
    text("UPDATE incident SET cause_since = :now WHERE cause_since > :now AND resolved_at IS NULL"),
    text("""
    UPDATE incident SET opened_at = opened_at - :step, resolved_at = resolved_at - :step
    WHERE workspace = '*' AND resolved_at > :now
    """),  # else an outage that is over would hold back for as long what is blind
    text("UPDATE account SET since = :now WHERE since > :now"),
    text("UPDATE account SET missing_since = :now WHERE missing_since > :now"),
    text("UPDATE acceptance SET at = :now WHERE at > :now"),
    text("UPDATE workspace SET fresh_until = fresh_until - :step WHERE fresh_until > :now"),
    text("UPDATE workspace SET last_good_at = :now WHERE last_good_at > :now"),
    text("UPDATE workspace SET failing_since = :now WHERE failing_since > :now"),
    text("UPDATE workspace SET failing_cause_since = :now WHERE failing_cause_since > :now"),
    text("UPDATE workspace SET version = version + 1"),
    text("UPDATE workspace SET detached_at = :now WHERE detached_at > :now"),
)


def silence(tx: Connection, now: Micros) -> Duration:
    """Return for how long nobody has recorded the time."""
    return Duration(max(0, now - (tx.execute(LATEST).scalar_one_or_none() or now)))


def set_clock(tx: Connection, now: Micros) -> Duration:
    """Record the time; if the clock went back since the latest one, move back what is due.

    Return how far it went back, 0 if it did not.
    """
    step = Duration((tx.execute(LATEST).scalar_one_or_none() or now) - now)
    tx.execute(ADVANCE, {"now": now})
    if step < MIN_STEP:
        return Duration(0)
    for statement in SHIFT_BACK:
        tx.execute(statement, {"step": int(step), "now": now})
    return step

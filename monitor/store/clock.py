"""The clock of who holds a workspace: what follows when it went back, or the next one is behind."""

from collections.abc import Mapping
from typing import Final

from sqlalchemy import Connection, TextClause, text

from monitor.core.duration import Duration
from monitor.core.model import Micros

from . import leases, rows

MIN_STEP: Final = Duration.parse("1s")
"""A smaller step back of the clock moves nothing."""

LATEST: Final = text("SELECT seen_at FROM replica WHERE id = :replica")

SET_BACK: Final = text("UPDATE replica SET seen_at = :now WHERE id = :replica")

_SHIFT_BACK: Final = (
    "incident SET next_due_at = next_due_at - :step WHERE next_due_at > :now",
    "incident SET remind_at = remind_at - :step WHERE remind_at > :now",
    "incident SET refresh_at = refresh_at - :step WHERE refresh_at > :now",
    "incident SET muted_until = muted_until - :step WHERE muted_until > :now",
    "incident SET acknowledged_at = :now WHERE acknowledged_at > :now",
    """incident SET acknowledged_until = acknowledged_until - :step
    WHERE acknowledged_until > :now""",
    "message SET next_attempt_at = next_attempt_at - :step WHERE next_attempt_at > :now",
    "message SET claimed_until = claimed_until - :step WHERE claimed_until > :now",
    """message SET created_at = created_at - :step
    WHERE settled_at IS NULL AND created_at > :now""",
    "session SET unconfirmed_since = :now WHERE unconfirmed_since > :now",
    "session SET link_since = :now WHERE link_since > :now",
    "session_intent SET at = at - :step WHERE at > :now",
    "event SET at = :now WHERE at > :now",
    "act SET at = :now WHERE at > :now",
    "incident SET opened_at = :now WHERE opened_at > :now AND resolved_at IS NULL",
    "incident SET told_at = told_at - :step WHERE resolved_at IS NULL",  # from it steps count
    "incident SET cause_since = :now WHERE cause_since > :now AND resolved_at IS NULL",
    """incident SET opened_at = opened_at - :step, resolved_at = resolved_at - :step
    WHERE workspace = '*' AND resolved_at > :now""",
    # else an outage that is over would hold back for as long what is blind
    "account SET since = :now WHERE since > :now",
    "account SET missing_since = :now WHERE missing_since > :now",
    "acceptance SET at = :now WHERE at > :now",
)

_HEARD: Final = (
    "heard SET at = :now - 1 WHERE at >= :now",  # still before what came after it
    "heard SET told_at = :now - 1 WHERE told_at >= :now",
)

_WORKSPACE: Final = (
    "workspace SET fresh_until = fresh_until - :step WHERE fresh_until > :now",
    "workspace SET last_good_at = :now WHERE last_good_at > :now",
    "workspace SET failing_since = :now WHERE failing_since > :now",
    "workspace SET failing_cause_since = :now WHERE failing_cause_since > :now",
    "workspace SET detached_at = :now WHERE detached_at > :now",
    "workspace SET version = version + 1 WHERE TRUE",
)

_OF_ALL: Final = tuple(
    text(f"UPDATE receiver SET {change}")  # noqa: S608 - our own
    for change in (
        "not_before = not_before - :step WHERE not_before > :now",
        "failing_since = :now WHERE failing_since > :now",
        "refused_since = :now WHERE refused_since > :now",
        "last_ok_at = :now WHERE last_ok_at > :now",
    )
)


def _shift_back(workspaces: str) -> tuple[TextClause, ...]:
    """Return the statements that move back what is recorded of *workspaces* (a condition)."""
    of_incident = f"incident_id IN (SELECT id FROM incident WHERE workspace IN {workspaces})"  # noqa: S608
    return (
        *(text(f"UPDATE {change} AND workspace IN {workspaces}") for change in _SHIFT_BACK),
        *(text(f"UPDATE {change} AND {of_incident}") for change in _HEARD),
        *(text(f"UPDATE {change} AND name IN {workspaces}") for change in _WORKSPACE),
    )


SHIFT_HELD: Final = _shift_back("(SELECT name FROM workspace WHERE holder = :replica)")
SHIFT_LISTED: Final = _shift_back(":names")


def set_clock(tx: Connection, replica: str, now: Micros) -> Duration:
    """Record the time of *replica*; if its clock went back, move back what is due in what it holds.

    Return how far it went back, 0 if it did not. Raise LeaseLostError if it works no more.
    """
    step = Duration((tx.execute(LATEST, {"replica": replica}).scalar_one_or_none() or now) - now)
    if step < MIN_STEP:
        leases.renew(tx, replica, now)
        return Duration(0)
    values = {"replica": replica, "step": int(step), "now": now}
    for statement in (SET_BACK, *_OF_ALL, *SHIFT_HELD):
        tx.execute(statement, values)
    return step


def follow(tx: Connection, former: Mapping[str, Micros | None], now: Micros) -> None:
    """Move back what is due in workspaces that were held by a clock that was ahead of ours.

    *former* has the latest time on that clock, by workspace.
    """
    steps: dict[int, list[str]] = {}
    for name, at in former.items():
        if at is not None and at - now >= MIN_STEP:
            steps.setdefault(at - now, []).append(name)
    for step, names in steps.items():
        for statement in SHIFT_LISTED:
            rows.execute_portions(tx, statement, "names", names, step=step, now=now)

"""What a person means by a word: an incident, by its id or by what it is about.

The first of these that there is counts; if there are several of it, the person has to say which:
1. the incident with that id,
2. the open one of the account with that id or name, or of the workspace with that name,
3. those whose id, or whose account's id, begins like that (of accounts: the open ones),
4. the latest one of an account with that id or name, or of the workspace, that has ended.
"""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, text

from monitor.core.model import Cause

from . import rows

MAX_CANDIDATES: Final = 6
"""So many incidents that a word can mean are looked for."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """An incident that a word can mean."""

    id: str
    workspace: str
    cause: Cause
    account_name: str | None


_SELECT: Final = """
SELECT incident.id, incident.workspace, incident.cause, account.name AS account_name
FROM incident LEFT JOIN account ON incident.scope = 'account'
    AND account.workspace = incident.workspace AND account.id = incident.subject
WHERE """

_IS_ABOUT: Final = """(
    incident.scope = 'account' AND (incident.subject = :word OR account.name = :word)
    OR incident.scope = 'workspace' AND incident.workspace = :word
)"""

_IS_LATEST: Final = """incident.resolved_at IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM incident AS later
    WHERE later.workspace = incident.workspace AND later.scope = incident.scope
        AND later.subject = incident.subject AND later.opened_at > incident.opened_at
)"""

_LIMIT: Final = f" ORDER BY incident.opened_at DESC, incident.id LIMIT {MAX_CANDIDATES}"

BY_WORD: Final = tuple(
    text(_SELECT + condition + _LIMIT)
    for condition in (
        "incident.id = :word",
        f"incident.resolved_at IS NULL AND {_IS_ABOUT}",
        """(
            substr(incident.id, 1, :length) = :word
            OR incident.resolved_at IS NULL AND incident.scope = 'account'
                AND substr(incident.subject, 1, :length) = :word
        )""",
        f"{_IS_LATEST} AND {_IS_ABOUT}",
    )
)


def incidents(tx: Connection, word: str) -> list[Candidate]:
    """Return the incidents that *word* can mean: one if all is clear, none if there is no such."""
    for statement in BY_WORD if word else ():
        result = tx.execute(statement, {"word": word, "length": len(word)}).all()
        if result:
            return [rows.read(Candidate, row) for row in result]
    return []

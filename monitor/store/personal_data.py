"""What is recorded of a person: the accounts that a word can mean, and how one is erased.

Rules:
1. Nothing is erased that the next poll would write again, nor while a message about it is being
   sent: what that comes to would be written, too.
2. Name, url, links, receipts, answers, titles and what people wrote go, from every table; the id,
   and addresses, become hashes that nobody can make again: their salt is not kept. What is counted
   stays.
3. What is still to be told of the account is cancelled.
4. A message to somebody about several accounts keeps its address until the last one is erased.
"""

from collections.abc import Iterable
from typing import Final

from sqlalchemy import Connection, text

from monitor.core.fingerprint import PSEUDONYM, pseudonym
from monitor.core.model import Account, Micros

from . import accounts, erasure, mutes, outbox, outside, workspaces
from .outbox import Settled

MAX_CANDIDATES: Final = 6
"""So many accounts that a word can mean are looked for."""

BY_WORD: Final = tuple(
    text(f"""
    SELECT * FROM account WHERE substr(id, 1, :size) <> :erased AND {condition}
    ORDER BY id, workspace LIMIT {MAX_CANDIDATES}
    """)  # noqa: S608 - all of it is our own
    for condition in ("id = :word", "name = :word", "substr(id, 1, :length) = :word")
)


def candidates(tx: Connection, word: str) -> list[Account]:
    """Return the accounts, removed or not, that *word* can mean: by id, name, or start of an id.

    An account of several workspaces is there for each of them.
    """
    values = {"word": word, "length": len(word), "erased": PSEUDONYM, "size": len(PSEUDONYM)}
    for statement in BY_WORD if word else ():
        if result := tx.execute(statement, values).all():
            return [accounts.from_row(row) for row in result]
    return []


FORMER: Final = text("""
SELECT * FROM account WHERE workspace = :workspace AND replaced_by = :id ORDER BY id
""")


def with_former(tx: Connection, account: Account) -> list[Account]:
    """Return *account*, and those that the same person was connected as before it."""
    listed = [account]
    for it in listed:  # those before each are appended
        former = map(accounts.from_row, tx.execute(FORMER, _key(it)))
        listed += [before for before in former if before.id not in {each.id for each in listed}]
    return listed


IS_SENT: Final = text("""
SELECT 1 FROM notification
WHERE workspace = :workspace AND subject = :id AND settled_at IS NULL AND state = 'sending' LIMIT 1
""")


def is_being_sent(tx: Connection, account: Account) -> bool:
    """Return whether a message about *account* is being sent, or nobody knows that it is not."""
    return tx.execute(IS_SENT, _key(account)).first() is not None


ADDRESSES: Final = text("""
SELECT address FROM notification WHERE workspace = :workspace AND subject = :id
UNION SELECT address FROM heard JOIN incident ON incident.id = heard.incident_id
WHERE incident.workspace = :workspace AND incident.scope = 'account' AND incident.subject = :id
""")

DELETE_SESSION: Final = text("""
DELETE FROM session WHERE workspace = :workspace AND account_id = :id
""")

ERASE_MESSAGES: Final = (
    text("""
    UPDATE attempt SET answer = NULL, title = '' WHERE message_id IN (
        SELECT message_id FROM notification WHERE workspace = :workspace AND subject = :id
    )
    """),
    text("""
    UPDATE message SET undelivered_why = CASE WHEN undelivered_why IS NOT NULL THEN '' END,
        done = CASE WHEN settled_at IS NULL THEN done END
    WHERE id IN (
        SELECT message_id FROM notification WHERE workspace = :workspace AND subject = :id
    )
    """),
    text("""
    UPDATE heard SET post_id = NULL WHERE incident_id IN (
        SELECT id FROM incident
        WHERE workspace = :workspace AND scope = 'account' AND subject = :id
    )
    """),
    text("""
    DELETE FROM post WHERE NOT EXISTS (SELECT 1 FROM heard WHERE heard.post_id = post.id)
    """),
)

ERASE_ADDRESS: Final = (
    text("""
    UPDATE message SET address = :hash WHERE address = :address AND id IN (
        SELECT message_id FROM notification WHERE workspace = :workspace AND subject = :id
    ) AND NOT EXISTS (
        SELECT 1 FROM notification AS other WHERE other.message_id = message.id
            AND (other.workspace <> :workspace OR other.subject <> :id)
            AND substr(other.subject, 1, :size) <> :erased
    )
    """),
    text("""
    UPDATE notification SET address = :hash
    WHERE workspace = :workspace AND subject = :id AND address = :address
    """),
    text("""
    UPDATE heard SET address = :hash WHERE address = :address AND incident_id IN (
        SELECT id FROM incident
        WHERE workspace = :workspace AND scope = 'account' AND subject = :id
    )
    """),
)

ERASE_ACCOUNT: Final = (
    text("""
    UPDATE notification SET subject = :hash WHERE workspace = :workspace AND subject = :id
    """),
    text("""
    UPDATE incident SET subject = :hash, detail = '', acknowledged_reason = NULL
    WHERE workspace = :workspace AND scope = 'account' AND subject = :id
    """),
    text("""
    UPDATE act SET reason = '' WHERE id IN (
        SELECT act_id FROM event WHERE workspace = :workspace AND account_id = :id
    )
    """),
    text("""
    UPDATE act SET subject = :hash, detail = '', reason = CASE act WHEN 'forget' THEN reason
        ELSE '' END
    WHERE workspace = :workspace AND subject = :id
    """),
    text("""
    UPDATE event SET account_id = :hash, detail = '', untold = ''
    WHERE workspace = :workspace AND account_id = :id
    """),
    text("""
    UPDATE session_intent SET account_id = :hash
    WHERE workspace = :workspace AND account_id = :id
    """),
    text("""
    UPDATE transition SET account_id = :hash WHERE workspace = :workspace AND account_id = :id
    """),
    text("""
    UPDATE account SET replaced_by = :hash WHERE workspace = :workspace AND replaced_by = :id
    """),
    text("""
    UPDATE account SET id = :hash, name = '', url = '', country = '', matched_name = NULL,
        matched_url = NULL, rules_told_at = NULL
    WHERE workspace = :workspace AND id = :id
    """),
)

ERASE_NAMES: Final = (
    text("""
    UPDATE receiver SET failing_why = replace(failing_why, :text, '…')
    WHERE failing_why <> replace(failing_why, :text, '…')
    """),
    text("""
    UPDATE act SET reason = replace(reason, :text, '…')
    WHERE reason <> replace(reason, :text, '…')
    """),
)
"""What is of others, too, and may name somebody: an answer that is quoted, what people wrote."""


def erase(tx: Connection, account: Account, *, salt: str, now: Micros) -> list[Settled]:
    """Erase *account*, which is not listed any more, from every table; return what was cancelled.

    *salt* is that of the hashes, to be thrown away.
    """
    erasure.note(tx)
    key = _key(account)
    cancelled = outbox.cancel_erased(tx, account.workspace, account.id, now=now)
    addresses = {row.address for row in tx.execute(ADDRESSES, key)} - {""}
    for statement in (DELETE_SESSION, *ERASE_MESSAGES):
        tx.execute(statement, key)
    prefix = {"erased": PSEUDONYM, "size": len(PSEUDONYM)}
    for address in sorted(addresses):
        hashed = {"hash": pseudonym(salt, address), "address": address}
        for statement in ERASE_ADDRESS:
            tx.execute(statement, {**key, **prefix, **hashed})
    for statement in ERASE_ACCOUNT:
        tx.execute(statement, {**key, "hash": pseudonym(salt, account.id)})
    texts = _texts(account, addresses)
    for part in texts:
        for statement in ERASE_NAMES:
            tx.execute(statement, {"text": part})
    mutes.erase(tx, texts)
    workspaces.raise_version(tx, account.workspace)
    outside.note(tx)
    return cancelled


def _key(account: Account) -> dict[str, str]:
    return {"workspace": account.workspace, "id": account.id}


def _texts(account: Account, addresses: Iterable[str]) -> set[str]:
    """Return what names the person of *account*."""
    named = {account.id, account.name, account.url, account.matched_name, account.matched_url}
    return {part for part in (*named, *addresses) if part}

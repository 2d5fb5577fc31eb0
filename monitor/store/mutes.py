"""What is muted by command: each a rule as the configuration has them."""

import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Final

from sqlalchemy import Connection, text

from monitor.core.duration import Duration
from monitor.core.model import Cause, Micros, Scope
from monitor.core.mutes import MuteRule
from monitor.core.route import Match

from . import rows

ERASED: Final = "…"
"""What stands in place of a text that is erased."""

MAX_MUTES: Final = 1000
"""So many mutes by command may be live at once."""


@dataclass(frozen=True, slots=True)
class RecordedMute:
    """A mute by command: the *rule*, and who made it when, by which act.

    No rule: this version, or this host, can't read it, and mutes nothing for it.
    """

    id: str
    act_id: str
    rule: MuteRule | None
    until_at: Micros | None
    made_at: Micros
    made_by: str
    ended_at: Micros | None = None
    ended_by: str | None = None


ADD: Final = text(rows.insert("mute", (*rows.columns(RecordedMute), "rule")))


def add(tx: Connection, mute: RecordedMute) -> None:
    """Add *mute*."""
    assert mute.rule is not None
    tx.execute(ADD, {**rows.values(mute), "rule": _write(mute.rule)})


LIVE: Final = text("""
SELECT * FROM mute WHERE ended_at IS NULL AND (until_at IS NULL OR until_at > :now)
ORDER BY made_at, id LIMIT :limit
""")


def load(tx: Connection, now: Micros) -> list[RecordedMute]:
    """Return the mutes that are not over *now*, nor ended."""
    live = tx.execute(LIVE, {"now": now, "limit": MAX_MUTES})
    return [rows.read(RecordedMute, row, rule=_read(row.rule)) for row in live]


END: Final = text("""
UPDATE mute SET ended_at = :now, ended_by = :by WHERE id = :id AND ended_at IS NULL
""")


def end(tx: Connection, id_: str, *, by: str, now: Micros) -> None:
    """End the mute *id_*."""
    tx.execute(END, {"id": id_, "by": by, "now": now})


COUNT_ENDED: Final = text("SELECT COUNT(*) FROM mute WHERE ended_at IS NOT NULL")


def count_ended(tx: Connection) -> int:
    """Return how many of the mutes that are kept were ended by hand."""
    count: int = tx.execute(COUNT_ENDED).scalar_one()
    return count


RULES: Final = text("SELECT id, rule FROM mute")

SET_RULE: Final = text("UPDATE mute SET rule = :rule WHERE id = :id")


def erase(tx: Connection, texts: Iterable[str]) -> None:
    """Let no mute, live or not, name *texts* any more: neither what it mutes nor why."""
    pattern = re.compile("|".join(map(re.escape, sorted(texts, key=len, reverse=True))))

    def without(value: str) -> str:
        return pattern.sub(ERASED, value)

    changed = []
    for row in tx.execute(RULES).all():
        rule = json.loads(row.rule)
        match = rule["match"]
        match["accounts"] = [without(glob) for glob in match["accounts"]]
        match["labels"] = {key: without(value) for key, value in match["labels"].items()}
        rule["reason"] = without(rule["reason"])
        if (after := json.dumps(rule, ensure_ascii=False)) != row.rule:
            changed.append({"id": row.id, "rule": after})
    rows.execute_many(tx, SET_RULE, changed)


def _write(rule: MuteRule) -> str:
    return json.dumps(asdict(rule), ensure_ascii=False)


def _read(text: str) -> MuteRule | None:
    """Return the rule in *text*; None if another version wrote it, or its time zone is unknown."""
    try:
        return _parse(text)
    except (KeyError, TypeError, ValueError):
        return None


def _parse(text: str) -> MuteRule:
    stored: dict[str, Any] = json.loads(text)
    match: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in stored.pop("match").items()
    }
    match["causes"] = tuple(map(Cause, match["causes"]))
    match["scopes"] = tuple(map(Scope, match["scopes"]))
    lasts = stored.pop("lasts")
    stored["to"] = tuple(stored["to"])
    lasts = None if lasts is None else Duration(lasts)
    return MuteRule(match=Match(**match), lasts=lasts, **stored)

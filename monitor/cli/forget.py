"""The command that erases a person."""

from collections.abc import Container, Sequence
from typing import Annotated, Any

import typer
from sqlalchemy import Connection

from monitor.app import process
from monitor.core.act import ActKind
from monitor.core.errors import ActError
from monitor.core.fingerprint import pseudonym
from monitor.core.model import Account
from monitor.core.text import bare
from monitor.store import personal_data
from monitor.work import act as committed

from .actor import new_act
from .database import erase
from .options import ByOption, ConfigOption, JsonOption, ReasonOption
from .output import print_rows


def forget(
    account: Annotated[
        str, typer.Argument(help="Its id, a unique start of it, or its name.", callback=bare)
    ],
    *,
    by: ByOption = None,
    reason: ReasonOption = "",
    config_file: ConfigOption = None,
    json: JsonOption = None,
) -> None:
    """Erase an account that is not listed any more: nothing brings it back.

    Its name, addresses, links, and what was answered go from every table; what is still to be told
    of it is cancelled. Its id becomes a hash, by which it is still counted.
    """
    config = process.load(config_file)
    watched = {workspace.name for workspace in config.workspaces}
    salt = process.new_id()

    def work(tx: Connection) -> list[dict[str, Any]]:
        rows = []
        for it in _chosen(tx, account, watched):
            act = new_act(ActKind.FORGET, it.workspace, by=by, reason=reason, subject=it.id)
            cancelled = committed.forget(tx, act, it, salt=salt)
            erased_as = pseudonym(salt, it.id)
            row = {"workspace": it.workspace, "erased_as": erased_as, "cancelled": len(cancelled)}
            rows.append(row | {"by": act.actor})
        return rows

    rows = erase(config, work)
    print_rows(rows, as_json=json, columns=["workspace", "erased_as", "cancelled", "by"], empty="")


def _chosen(tx: Connection, word: str, watched: Container[str]) -> Sequence[Account]:
    """Return the account that *word* means, in all its workspaces, and its former ids.

    Raise ActError if it is not exactly one, or can't be erased now.
    """
    candidates = personal_data.candidates(tx, word)
    if not candidates:
        advice = "see the ids in `linkedapi-monitor incidents --all --json`"
        raise ActError(f"no account has the id or the name {word!r}; {advice}")
    of_each = [personal_data.with_former(tx, it) for it in candidates]
    former = {it.id for listed in of_each for it in listed[1:]}
    if len({it.id for it in candidates} - former) > 1:
        listed = ", ".join(f"{it.id} ({it.name}, {it.workspace})" for it in candidates)
        raise ActError(f"{word!r} can be several accounts, name one by its id: {listed}")
    chosen = {(it.workspace, it.id): it for listed in of_each for it in listed}
    for it in chosen.values():
        if it.removed_at is None:
            raise ActError(f"{it.id} ({it.name}, {it.workspace}) {_why_listed(it, watched)}")
        if personal_data.is_being_sent(tx, it):
            raise ActError(f"a message about {it.id} is being sent: try again in a minute")
    return list(chosen.values())


def _why_listed(account: Account, watched: Container[str]) -> str:
    if account.workspace in watched:
        return "is still listed: disconnect or ignore it first, the next poll would write it again"
    return "counts as listed until its workspace has been out of the configuration for a day"

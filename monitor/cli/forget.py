"""The command that erases a person."""

from collections.abc import Container, Sequence
from typing import Annotated, Any

import typer
from sqlalchemy import Connection

from monitor.app import process
from monitor.core.errors import MonitorError
from monitor.core.fingerprint import pseudonym
from monitor.core.model import Account
from monitor.core.text import bare
from monitor.store import personal_data

from .database import erase
from .options import ConfigOption, JsonOption
from .output import Exit, print_error, print_rows


class _RefusedError(MonitorError):
    """It can't be erased, and why."""


def forget(
    account: Annotated[
        str, typer.Argument(help="Its id, a unique start of it, or its name.", callback=bare)
    ],
    config_file: ConfigOption = None,
    json: JsonOption = None,
) -> None:
    """Erase an account that is not listed any more: nothing brings it back.

    Its name, addresses, links, and what was answered go from every table; what is still to be told
    of it is cancelled. Its id becomes a hash, by which it is still counted.
    """
    config = process.load(config_file)
    watched = {workspace.name for workspace in config.workspaces}
    salt, now = process.new_id(), process.now()

    def work(tx: Connection) -> list[dict[str, Any]]:
        chosen = _chosen(tx, account, watched)
        erased_as = pseudonym(salt, chosen[0].id)
        return [
            {
                "workspace": it.workspace,
                "erased_as": erased_as,
                "cancelled": len(personal_data.erase(tx, it, salt=salt, now=now)),
            }
            for it in chosen
        ]

    try:
        rows = erase(config, work)
    except _RefusedError as error:
        print_error("validation", str(error))
        raise typer.Exit(Exit.VALIDATION) from None
    print_rows(rows, as_json=json, columns=["workspace", "erased_as", "cancelled"], empty="")


def _chosen(tx: Connection, word: str, watched: Container[str]) -> Sequence[Account]:
    """Return the account that *word* means, in all its workspaces; raise _RefusedError if not."""
    candidates = personal_data.candidates(tx, word)
    if not candidates:
        advice = "see the ids in `linkedapi-monitor incidents --all --json`"
        raise _RefusedError(f"no account has the id or the name {word!r}; {advice}")
    if len({it.id for it in candidates}) > 1:
        listed = ", ".join(f"{it.id} ({it.name}, {it.workspace})" for it in candidates)
        raise _RefusedError(f"{word!r} can be several accounts, name one by its id: {listed}")
    for it in candidates:
        if it.removed_at is None:
            raise _RefusedError(f"{it.id} ({it.name}, {it.workspace}) {_why_listed(it, watched)}")
        if personal_data.is_being_sent(tx, it):
            raise _RefusedError(f"a message about {it.id} is being sent: try again in a minute")
    return candidates


def _why_listed(account: Account, watched: Container[str]) -> str:
    if account.workspace in watched:
        return "is still listed: disconnect or ignore it first, the next poll would write it again"
    return "counts as listed until its workspace has been out of the configuration for a day"

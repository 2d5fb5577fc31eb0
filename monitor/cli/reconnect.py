"""The command that has login links asked for."""

from collections.abc import Sequence
from typing import Any, Final

import typer
from sqlalchemy import Connection

from monitor.app import process
from monitor.core.act import ActKind
from monitor.core.model import IntentOutcome
from monitor.store import session_intents
from monitor.work import act as committed

from .act import CauseOption, WordArgument, WorkspaceOption, choose
from .options import ByOption, ConfigOption, JsonOption, ReasonOption, ShowLinksOption
from .output import Exit, print_rows
from .waiting import commit_and_wait

FAILED: Final = (IntentOutcome.REFUSED, IntentOutcome.LIMITED, IntentOutcome.UNKNOWN)


def reconnect(
    word: WordArgument = None,
    *,
    workspace: WorkspaceOption = None,
    cause: CauseOption = None,
    by: ByOption = None,
    reason: ReasonOption = "",
    show_links: ShowLinksOption = False,
    config_file: ConfigOption = None,
    json: JsonOption = None,
) -> None:
    """Have the monitor ask for a login link, and wait up to 15 s for it.

    A link that is still good, or in use, is kept. A new one is told to those who heard of the
    incident. Exit 1 if there is none.
    """
    config = process.load(config_file)
    choice = choose(config, word, workspace, cause)
    act = choice.act(ActKind.RECONNECT, by=by, reason=reason)

    def work(tx: Connection) -> list[str]:
        return committed.reconnect(tx, act, choice.chosen, process.new_id)

    rows = commit_and_wait(
        config, work, session_intents.outcomes, of=(choice.workspace,), is_over=_is_over
    )
    for row in rows:
        if not show_links:
            del row["link"]
    columns = ["workspace", "account_name", "account_id", "outcome"]
    print_rows(rows, as_json=json, columns=columns, empty="", below="link")
    if any(row["outcome"] in FAILED for row in rows):
        raise typer.Exit(Exit.GENERAL)


def _is_over(rows: Sequence[dict[str, Any]]) -> bool:
    return all(row["outcome"] not in session_intents.UNFINISHED for row in rows)

"""The commands about the notifications: list them, have them tried again, cancel them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from sqlalchemy import Connection

from monitor.app import process
from monitor.config import Config
from monitor.core.act import ActKind
from monitor.core.errors import ActError, AttemptReason
from monitor.core.model import Cause
from monitor.core.text import bare
from monitor.store import by_hand, listings
from monitor.store.by_hand import ChosenMessage

from .actor import new_act
from .database import read, write
from .options import ByOption, ConfigOption, JsonOption, LimitOption, ReasonOption, pass_on
from .output import print_rows, wants_json

COLUMNS = ["account_name", "receiver", "event", "state", "attempts"]
SETTLED = ("delivered", "dead", "cancelled")

IdArgument = Annotated[
    str | None,
    typer.Argument(metavar="[ID]", help="Its id, or a unique start of it.", show_default=False),
]
WorkspaceOption = Annotated[
    str | None,
    typer.Option("--workspace", help="All of a workspace that are queued.", show_default=False),
]
CauseOption = Annotated[
    Cause | None,
    typer.Option("--cause", metavar="CAUSE", help="Those of a cause.", show_default=False),
]
ReceiverOption = Annotated[
    str | None, typer.Option("--receiver", help="Those for a receiver.", show_default=False)
]

deliveries = typer.Typer(
    help="List the latest notifications, try some again, or cancel some.",
    invoke_without_command=True,
)


@deliveries.callback()
def list_deliveries(
    context: typer.Context,
    config_file: ConfigOption = None,
    json: JsonOption = None,
    limit: LimitOption = 100,
) -> None:
    """List the latest notifications and how they fare, newest first.

    A try is an attempt to send; below a notification stands why it ended as it did, and what its
    receiver answered last.
    """
    if context.invoked_subcommand is not None:
        pass_on(context, config_file=config_file, json=json)
        return
    config = process.load(config_file)
    types = {"log": "log"} | {receiver.name: receiver.type for receiver in config.receivers}
    rows = read(config, lambda tx: listings.deliveries(tx, limit=limit))
    for row in rows:
        incident_id = row.pop("incident_id")
        row["incident_ids"] = [incident_id] if incident_id else []
        row["type"] = types.get(row["receiver"])
        if row["state"] not in ("pending", "sending"):
            row["next_attempt_at"] = None
    columns = ["created_at", "account_name", "receiver", "event", "state"]
    columns += ["attempts", "next_attempt_at"]
    shown = rows if wants_json(json) else list(map(_for_people, rows))
    print_rows(
        shown,
        as_json=json,
        columns=columns,
        empty="nothing has been queued yet",
        below="why",
        now=process.now(),
    )


@deliveries.command()
def retry(
    id_: IdArgument = None,
    *,
    workspace: WorkspaceOption = None,
    cause: CauseOption = None,
    receiver: ReceiverOption = None,
    by: ByOption = None,
    reason: ReasonOption = "",
    config_file: ConfigOption = None,
    json: JsonOption = None,
) -> None:
    """Try notifications again now, pending or dead ones.

    What no longer holds is not sent. It waits up to 15 s for what they come to.
    """
    from monitor.work import act as committed  # noqa: PLC0415 - no listing needs it

    from .waiting import commit_and_wait  # noqa: PLC0415 - likewise

    config = process.load(config_file)
    choice = _choice(config, id_, workspace, cause, receiver)
    act = new_act(ActKind.RETRY, choice.workspace, detail=choice.detail, by=by, reason=reason)
    rows = commit_and_wait(
        config,
        lambda tx: committed.retry(tx, act, choice.load(tx), process.new_id),
        by_hand.fates,
        of=(choice.workspace,),
        is_over=lambda rows: all(row["state"] in SETTLED for row in rows),
    )
    _print(rows, json)


@deliveries.command()
def cancel(
    id_: IdArgument = None,
    *,
    workspace: WorkspaceOption = None,
    cause: CauseOption = None,
    receiver: ReceiverOption = None,
    by: ByOption = None,
    reason: ReasonOption = "",
    config_file: ConfigOption = None,
    json: JsonOption = None,
) -> None:
    """Cancel notifications that are pending.

    Who is not told that something is open is not told of its end either.
    """
    from monitor.work import act as committed  # noqa: PLC0415 - no listing needs it

    config = process.load(config_file)
    choice = _choice(config, id_, workspace, cause, receiver)
    act = new_act(ActKind.CANCEL, choice.workspace, detail=choice.detail, by=by, reason=reason)
    ids = write(
        config,
        lambda tx: committed.cancel(tx, act, choice.load(tx), process.new_id, cause=cause),
        of=(choice.workspace,),
    )
    _print(read(config, lambda tx: by_hand.fates(tx, ids)), json)


@dataclass(frozen=True, slots=True)
class _Choice:
    """Which messages of a *workspace* are meant: the one *id*, or a set as *detail* says."""

    workspace: str
    detail: str
    id: str | None = None
    cause: Cause | None = None
    receiver: str | None = None

    def load(self, tx: Connection) -> list[ChosenMessage]:
        """Return them as they are now."""
        if self.id is not None:
            return by_hand.find(tx, self.id)
        return by_hand.of_set(tx, self.workspace, cause=self.cause, receiver=self.receiver)


def _choice(
    config: Config,
    id_: str | None,
    workspace: str | None,
    cause: Cause | None,
    receiver: str | None,
) -> _Choice:
    """Return which messages are meant; raise ActError if that is unclear."""
    if id_ is not None and not (workspace or cause or receiver):
        word = bare(id_)
        message = _only(word, read(config, lambda tx: by_hand.find(tx, word)))
        return _Choice(message.workspace, f"message {message.id}", message.id)
    if id_ is None and workspace is not None:
        parts = ("all", cause and f"of the cause {cause}", receiver and f"for {receiver}")
        detail = " ".join(filter(None, parts))
        return _Choice(workspace, detail, cause=cause, receiver=receiver)
    raise ActError("name a notification, or a set of them by --workspace (and --cause, --receiver)")


def _only(word: str, messages: Sequence[ChosenMessage]) -> ChosenMessage:
    if not messages:
        advice = "see the ids in `linkedapi-monitor deliveries --json`"
        raise ActError(f"no notification has the id {word!r}; {advice}")
    if len(messages) > 1:
        listed = ", ".join(f"{it.id} ({it.receiver}, {it.state})" for it in messages)
        raise ActError(f"{word!r} can be several messages, name one by its id: {listed}")
    return messages[0]


def _print(rows: Sequence[dict[str, Any]], json: bool | None) -> None:
    shown = rows if wants_json(json) else list(map(_for_people, rows))
    print_rows(shown, as_json=json, columns=COLUMNS, empty="", below="why")


def _for_people(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return *row* with why the notification is where it is, unless all went well.

    What is of no account is of its workspace.
    """
    answer = "" if row["last_reason"] == AttemptReason.OK else row["last_answer"]
    why = ": ".join(filter(None, (row["reason"], answer)))
    return {**row, "why": why, "account_name": row["account_name"] or row["workspace"]}

"""The commands about the incidents: list them, show all of one."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Annotated, Any, Final

import typer
from sqlalchemy import Connection

from monitor.app import process
from monitor.core.errors import ActError
from monitor.core.history import History, page
from monitor.core.model import LISTED, Micros
from monitor.core.secret import Secret
from monitor.core.text import bare, iso_time
from monitor.store import history, listings, lookup
from monitor.store.lookup import MAX_CANDIDATES, Candidate

from .database import read
from .options import ConfigOption, JsonOption, LimitOption, ShowLinksOption, pass_on
from .output import print_json, print_lines, print_rows, wants_json

MAX_EVENTS: Final = 50

INCIDENT: Final = (
    *("id", "workspace", "account_id", "scope", "cause", "opened_at", "acknowledged_by"),
    *("resolved_at", "resolution", "detail"),
)
EVENT: Final = ("at", "type", "cause", "reason", "detail", "act_id")

incidents = typer.Typer(
    help="List the open incidents, or show all of one.",
    invoke_without_command=True,
)


@incidents.callback()
def list_incidents(
    context: typer.Context,
    config_file: ConfigOption = None,
    json: JsonOption = None,
    ended: Annotated[bool, typer.Option("--all", help="Ended ones too.")] = False,
    limit: LimitOption = 100,
) -> None:
    """List the open incidents, newest first."""
    if context.invoked_subcommand is not None:
        pass_on(context, config_file=config_file, json=json)
        return
    now = process.now()
    config = process.load(config_file)
    rows = read(config, lambda tx: listings.incidents(tx, ended=ended, limit=limit))
    for row in rows:
        until = now if row["resolved_at"] is None else row["resolved_at"]
        row["duration_seconds"] = max(0, until - row["opened_at"]) // 1_000_000
    columns = ["workspace", "account_name", "cause", "opened_at", "duration_seconds"]
    columns += ["acknowledged_by"] if any(row["acknowledged_by"] for row in rows) else []
    columns += ["resolution"] if ended else []
    print_rows(rows, as_json=json, columns=columns, empty="no incident is open")


@incidents.command()
def show(
    word: Annotated[
        str,
        typer.Argument(
            metavar="ID",
            help="Its id, a unique start of it, or of its account id or name.",
            callback=bare,
        ),
    ],
    config_file: ConfigOption = None,
    json: JsonOption = None,
    show_links: ShowLinksOption = False,
    limit: LimitOption = MAX_EVENTS,
) -> None:
    """Show all of one: what happened, who was told and when.

    A page on a terminal, with the latest attempts to tell somebody, and what was answered.
    """
    config = process.load(config_file)

    def load(tx: Connection) -> History | Sequence[Candidate]:
        candidates = lookup.incidents(tx, word)
        if len(candidates) != 1:
            return candidates
        return history.load(tx, candidates[0].id, limit=limit) or ()

    loaded = read(config, load)
    if not isinstance(loaded, History):
        raise ActError(unclear(word, loaded))
    link, now = loaded.link if show_links else None, process.now()
    labels = config.inventory().labels(loaded.incident.workspace, loaded.account)
    if wants_json(json):
        print_json(_with_iso_times(_data(loaded, labels, link, now)))
        return
    timezone = config.timezone
    print_lines("\n".join(page(loaded, labels=labels, now=now, timezone=timezone)))
    if link:
        print_lines(f"\n{link.reveal()}")


def _data(
    loaded: History, labels: Mapping[str, str], link: Secret | None, now: Micros
) -> dict[str, Any]:
    """Return all that is shown, with points in time as they are recorded."""
    incident, account = loaded.incident, loaded.account
    shown = {name: getattr(incident, name) for name in INCIDENT}
    until = now if incident.resolved_at is None else incident.resolved_at
    return {
        **shown,
        "duration_seconds": max(0, until - incident.opened_at) // 1_000_000,
        "account": account and {name: getattr(account, name) for name in (*LISTED, "since")},
        "labels": labels,
        "link": link and link.reveal(),
        "heard": [asdict(heard) for heard in loaded.heard],
        "events": [
            {name: getattr(past.event, name) for name in EVENT}
            | {"untold": past.event.untold.splitlines()}
            | {"notifications": [asdict(it) for it in past.notifications]}
            for past in loaded.events
        ],
        "left_out": loaded.left_out,
        "acts": [asdict(act) for act in loaded.acts],
        "link_requests": [asdict(request) for request in loaded.link_requests],
    }


def unclear(word: str, candidates: Sequence[Candidate]) -> str:
    """Say that *word* is no incident, or could be any of the *candidates*."""
    if not candidates:
        advice = "see the ids in `linkedapi-monitor incidents --all --json`"
        return f"no incident has the id {word!r}, or is about an account of that name; {advice}"
    listed = ", ".join(f"{it.id} ({_about(it)})" for it in candidates)
    more = ", …" if len(candidates) == MAX_CANDIDATES else ""
    return f"{word!r} can be several incidents, name one by its id: {listed}{more}"


def _about(candidate: Candidate) -> str:
    return ", ".join(filter(None, (candidate.account_name, candidate.workspace, candidate.cause)))


def _with_iso_times(value: Any, key: str = "") -> Any:
    """Return *value* with each point in time in it written as ISO 8601."""
    if isinstance(value, dict):
        return {name: _with_iso_times(part, name) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_with_iso_times(part) for part in value]
    is_time = key in ("at", "since") or key.endswith("_at")
    return iso_time(value) if is_time and isinstance(value, int) else value

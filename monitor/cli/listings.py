"""The commands that print what is recorded: accounts, incidents, deliveries."""

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Final, TypeVar

import typer
from sqlalchemy import Connection

from monitor import app
from monitor.core.model import ListedAccount
from monitor.store import listings
from monitor.store.db import Store

from .options import ConfigOption, JsonOption
from .output import moment, rows

T = TypeVar("T")

LimitOption = Annotated[int, typer.Option("--limit", min=1, help="How many at the most.")]

TIMES: Final = ("since", "as_of", "opened_at", "resolved_at", "next_attempt_at", "created_at")


def accounts(
    config_file: ConfigOption = None,
    json: JsonOption = False,
    show_links: Annotated[
        bool, typer.Option("--show-links", help="Show the links that log accounts in.")
    ] = False,
) -> None:
    """List the accounts as last seen, the bad ones first."""
    hidden = () if show_links else ("link",)
    inventory = app.inventory(app.load(config_file))
    data = [
        {**_row(one, hidden), "labels": inventory.labels(one["workspace"], _seen(one))}
        for one in _read(config_file, listings.accounts)
    ]
    columns = ["workspace", "name", "status", "since", "id", *([] if not show_links else ["link"])]
    rows(data, as_json=json, columns=columns, empty="no accounts have been seen yet")


def incidents(
    config_file: ConfigOption = None,
    json: JsonOption = False,
    ended: Annotated[bool, typer.Option("--all", help="Ended ones too.")] = False,
    limit: LimitOption = 100,
) -> None:
    """List the open incidents, newest first."""
    now = app.now()
    data = []
    for one in _read(config_file, lambda tx: listings.incidents(tx, ended=ended, limit=limit)):
        until = one["resolved_at"] if one["resolved_at"] is not None else now
        seconds = max(0, until - one["opened_at"]) // 1_000_000
        data.append({**_row(one, ()), "duration_seconds": seconds})
    columns = ["workspace", "account_name", "cause", "opened_at", "duration_seconds"]
    columns += ["resolution"] if ended else []
    rows(data, as_json=json, columns=columns, empty="no incident is open")


def deliveries(
    config_file: ConfigOption = None, json: JsonOption = False, limit: LimitOption = 100
) -> None:
    """List the latest notifications and how they fare, newest first."""
    data = []
    kinds = {one.name: one.type for one in app.load(config_file).receivers}
    for one in _read(config_file, lambda tx: listings.deliveries(tx, limit=limit)):
        row = _row(one, ("incident_id",))
        row["incident_ids"] = [one["incident_id"]] if one["incident_id"] else []
        row["type"] = kinds.get(one["receiver"], "log" if one["receiver"] == "log" else None)
        if row["state"] not in ("pending", "sending"):
            row["next_attempt_at"] = None
        data.append(row)
    columns = ["created_at", "account_name", "receiver", "event", "state", "reason", "last_error"]
    rows(data, as_json=json, columns=columns, empty="nothing has been queued yet")


def _seen(one: Mapping[str, Any]) -> ListedAccount:
    told = {key: one[key] for key in ("id", "name", "url", "country", "status", "raw_status")}
    return ListedAccount(**told)


def _read(
    config_file: Any, work: Callable[[Connection], Sequence[Mapping[str, Any]]]
) -> Sequence[Mapping[str, Any]]:
    store = Store.open(app.load(config_file).storage.url.reveal(), create=False)
    try:
        return store.run_now(work)
    finally:
        store.close()


def _row(one: Mapping[str, Any], hidden: Sequence[str]) -> dict[str, Any]:
    return {
        key: moment(value) if key in TIMES else value
        for key, value in one.items()
        if key not in hidden
    }

"""The command that lists the notifications."""

from collections.abc import Mapping
from typing import Any

from monitor.app import process
from monitor.core.errors import AttemptReason
from monitor.store import listings

from .database import read
from .options import ConfigOption, JsonOption, LimitOption
from .output import print_rows, wants_json


def deliveries(
    config_file: ConfigOption = None, json: JsonOption = None, limit: LimitOption = 100
) -> None:
    """List the latest notifications and how they fare, newest first.

    A try is an attempt to send; below a notification stands why it ended as it did, and what its
    receiver answered last.
    """
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


def _for_people(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return *row* with why the notification is where it is, unless all went well.

    What is of no account is of its workspace.
    """
    answer = "" if row["last_reason"] == AttemptReason.OK else row["last_answer"]
    why = ": ".join(filter(None, (row["reason"], answer)))
    return {**row, "why": why, "account_name": row["account_name"] or row["workspace"]}

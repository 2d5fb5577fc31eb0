"""The commands that run: the monitor itself, and one look at everything."""

import asyncio
import sys
from collections.abc import Iterable
from typing import Any

import typer

from monitor import app, log
from monitor.config import Config
from monitor.core.model import Failure, ListedAccount, Skipped
from monitor.core.secret import Secret

from .options import ConfigOption, JsonOption
from .output import BAD, BLIND, Exit, complain, moment, rows, worst


def run(config_file: ConfigOption = None) -> None:
    """Run the monitor until it is told to stop (SIGTERM or Ctrl-C)."""
    asyncio.run(app.run(lambda: app.load(config_file), log_to))


def log_to(config: Config, secrets: Iterable[Secret] = (), level: str | None = None) -> None:
    """Log as *config* says: to standard error, JSON unless it is a terminal.

    Its secrets are masked, and other *secrets* too.
    """
    log.configure(
        level=level or config.log.level,
        format=config.log.format or ("console" if sys.stderr.isatty() else "json"),
        secrets=(*config.secrets(), *secrets),
        stream=sys.stderr,
    )


def check(config_file: ConfigOption = None, json: JsonOption = False) -> None:
    """Look at every workspace once; neither record nor send anything.

    Exit 0 if all is well, 4 if an account needs a login, 3 if one is frozen; 2, 7, 6 or 1 if a
    workspace can't be read (token or configuration, network, rate limit, anything else).
    """
    config = app.load(config_file)
    log_to(config, level="error")
    now = moment(app.now())
    data: list[dict[str, Any]] = []
    codes: list[Exit] = []
    inventory = app.inventory(config)
    for workspace, observation in asyncio.run(app.look(config)).items():
        if isinstance(observation, Failure):
            codes.append(BLIND[observation.cause])
            complain(observation.cause, f"{workspace}: {observation.detail}")
            continue
        if isinstance(observation, Skipped):
            continue
        watched = [one for one in observation.accounts if not inventory.ignores(workspace, one)]
        codes += [BAD[one.status] for one in watched]
        data += [
            {**_row(workspace, one, now), "labels": inventory.labels(workspace, one)}
            for one in _worst_first(watched)
        ]
    columns = ["workspace", "name", "status", "id"]
    if data or worst(codes) not in BLIND.values():
        rows(data, as_json=json, columns=columns, empty="there are no accounts")
    raise typer.Exit(worst(codes))


def _worst_first(accounts: Iterable[ListedAccount]) -> list[ListedAccount]:
    return sorted(accounts, key=lambda one: (-BAD[one.status], one.name, one.id))


def _row(workspace: str, one: ListedAccount, now: str | None) -> dict[str, Any]:
    return {
        "workspace": workspace,
        "id": one.id,
        "name": one.name,
        "url": one.url,
        "country": one.country,
        "status": one.status,
        "raw_status": one.raw_status,
        "as_of": now,
    }

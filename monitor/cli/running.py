"""The commands that run: the monitor itself, one look at everything, and the health check."""

import asyncio
import http.client
import sys
from typing import Annotated, Any

import typer

from monitor import app, log
from monitor.config import Config
from monitor.core.model import Failure, Observation, Seen, Snapshot

from .output import BAD, BLIND, ConfigOption, Exit, JsonOption, moment, rows, worst

HEALTH_TIMEOUT = 5.0
"""Seconds that the health check waits for an answer."""


def run(config_file: ConfigOption = None) -> None:
    """Run the monitor until it is told to stop (SIGTERM or Ctrl-C)."""
    config = app.load(config_file)
    log_to(config)
    asyncio.run(app.run(config))


def log_to(config: Config, level: str | None = None) -> None:
    """Log as *config* says: to standard error, JSON unless it is a terminal."""
    log.configure(
        level=level or config.log.level,
        format=config.log.format or ("console" if sys.stderr.isatty() else "json"),
        secrets=config.secrets(),
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
    for workspace, observation in asyncio.run(app.look(config)).items():
        codes += _codes(observation)
        if isinstance(observation, Failure):
            typer.echo(f"{workspace}: {observation.cause}: {observation.detail}", err=True)
        else:
            data += [_row(workspace, one, now) for one in _worst_first(observation)]
    columns = ["workspace", "name", "status", "id", "url"]
    rows(data, as_json=json, columns=columns, empty="there are no accounts")
    raise typer.Exit(worst(codes))


def _codes(observation: Observation) -> list[Exit]:
    if isinstance(observation, Failure):
        return [BLIND[observation.cause]]
    return [BAD[one.status] for one in observation.accounts]


def _worst_first(snapshot: Snapshot) -> list[Seen]:
    return sorted(snapshot.accounts, key=lambda one: (-BAD[one.status], one.name, one.id))


def _row(workspace: str, one: Seen, now: str | None) -> dict[str, Any]:
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


def healthcheck(
    config_file: ConfigOption = None,
    listen: Annotated[
        str | None, typer.Option(help="HOST:PORT of the monitor; else the configured one.")
    ] = None,
) -> None:
    """Ask the running monitor whether all its loops cycle; exit 0 if so, 1 if not."""
    host, _, port = (listen or app.load(config_file).web.listen).rpartition(":")
    host = {"0.0.0.0": "127.0.0.1", "[::]": "::1"}.get(host, host.strip("[]"))  # noqa: S104
    connection = http.client.HTTPConnection(host, int(port), timeout=HEALTH_TIMEOUT)
    try:
        connection.request("GET", "/healthz")
        answer = connection.getresponse()
        typer.echo(answer.read(4096).decode("utf-8", "replace").strip())
        healthy = answer.status == http.client.OK
    except (OSError, http.client.HTTPException) as error:
        typer.echo(f"no answer from http://{host}:{port}/healthz: {error}", err=True)
        healthy = False
    finally:
        connection.close()
    raise typer.Exit(Exit.OK if healthy else Exit.GENERAL)

"""The health check, alone: it runs every half minute for years, so it loads next to nothing."""

import http.client
import os
from contextlib import closing
from typing import Annotated, Final

import typer

from monitor.core.text import visible
from monitor.web import endpoint

from .options import ConfigOption
from .output import Exit, print_error

TIMEOUT: Final = 5.0
"""Seconds that it waits for an answer."""


def healthcheck(
    config_file: ConfigOption = None,
    listen: Annotated[
        str | None,
        typer.Option(
            envvar="LINKEDAPI_MONITOR_LISTEN",
            help="HOST:PORT of the monitor; else where the running one said that it is.",
        ),
    ] = None,
) -> None:
    """Ask the running monitor whether all its loops cycle; exit 0 if so, 1 if not."""
    if not listen or listen.endswith(":0"):  # any free port
        listen = endpoint.find(endpoint.places(os.environ), config_file)
    listen = listen or _configured(config_file)
    healthy = False
    try:
        host, port = endpoint.to_ask(listen)
        with closing(http.client.HTTPConnection(host, port, timeout=TIMEOUT)) as connection:
            connection.request("GET", "/healthz")
            with connection.getresponse() as response:
                typer.echo(visible(response.read(4096).decode("utf-8", "replace").strip()))
                healthy = response.status == http.client.OK
    except ValueError:
        print_error("usage", f"--listen must be HOST:PORT, such as 127.0.0.1:9464, not {listen!r}")
        raise typer.Exit(Exit.AUTH_OR_CONFIG) from None
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        message = f"no answer from http://{listen}/healthz: {reason}; is the monitor running there?"
        print_error("network", message)
    raise typer.Exit(0 if healthy else 1)


def _configured(config_file: ConfigOption) -> str:
    from monitor.app import process  # noqa: PLC0415 - the configuration, for the address alone
    from monitor.core.errors import MonitorError  # noqa: PLC0415 - likewise

    try:
        return process.load(config_file).web.listen
    except MonitorError as error:
        print_error("config", f"no running monitor was found; give --listen HOST:PORT, or: {error}")
        raise typer.Exit(Exit.AUTH_OR_CONFIG) from None

"""The command that runs the simulator alone."""

import asyncio
import errno
import os
import socket
from typing import Annotated, Final

import typer

from monitor.app import process
from monitor.core.errors import MonitorError
from monitor.net import loop
from monitor.simulator import Simulator, serve

TOKEN: Final = "linked_simulated"  # noqa: S105 - opens nothing


def simulate(
    port: Annotated[
        int, typer.Option(min=0, max=65_535, help="The port; 0 takes any free one.")
    ] = 8600,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    token: Annotated[str, typer.Option(help="The token of its customer.")] = TOKEN,
    accounts: Annotated[int, typer.Option(min=0, help="How many accounts it has.")] = 8,
) -> None:
    """Run the simulated Linked API alone, until Ctrl-C; control it over HTTP at /control."""
    if not token.strip():
        raise typer.BadParameter("must have some characters", param_hint="--token")
    loop.run(_simulate(host, port, token, accounts))


async def _simulate(host: str, port: int, token: str, accounts: int) -> None:
    simulator = Simulator()
    simulator.add_customer("simulated", token)
    simulator.add_accounts("simulated", accounts)
    stopping = asyncio.Event()
    process.stop_on_signals(stopping.set)
    try:
        async with serve(simulator, host, port) as url:
            address = url.replace("//0.0.0.0:", "//127.0.0.1:")  # where a browser finds it
            simulator.tune(link_base=f"{address}/connection/")
            typer.echo(f"Linked API, simulated: {address}")
            typer.echo(f"  LINKED_API_BASE_URL={address} LINKED_API_TOKEN={token}")
            typer.echo(
                f"  curl -X POST {address}/control/sign_out -H 'content-type: application/json'"
                ' -d \'{"customer":"simulated","account":"*"}\''
            )
            await stopping.wait()
    except (OSError, UnicodeError) as error:
        raise MonitorError(
            f"cannot listen on {host}:{port}: {_reason(error)}; choose another --host or --port"
        ) from None


def _reason(error: OSError | UnicodeError) -> str:
    match error:
        case OSError(errno=errno.EADDRINUSE):
            return "another program listens there"
        case OSError(errno=errno.EADDRNOTAVAIL):
            return "this machine has no such address"
        case socket.gaierror() | UnicodeError():
            return "there is no such host"
        case _:
            return os.strerror(error.errno or 0)

"""All commands, put together."""

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from monitor import __version__
from monitor.core.errors import MonitorError, SetupError

from .accounts import accounts
from .backup import backup
from .check import check
from .config import config
from .demo import demo
from .health import healthcheck
from .output import Exit, print_error
from .receivers import receivers
from .recorded import deliveries, incidents
from .run import run
from .simulate import simulate
from .workspaces import workspaces

app = typer.Typer(
    name="linkedapi-monitor",
    help="Watches the LinkedIn accounts behind Linked API and tells people when one stops working.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for command in (run, check, demo, simulate, incidents, deliveries, backup, healthcheck):
    app.command()(command)
app.add_typer(accounts, name="accounts")
app.add_typer(config, name="config")
app.add_typer(receivers, name="receivers")
app.add_typer(workspaces, name="workspaces")


@app.command()
def version(json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Print the version."""
    typer.echo(f'{{"success":true,"data":"{__version__}"}}' if json else __version__)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command; any error is one clear line and an exit code, never a traceback."""
    try:
        app(arguments)
    except MonitorError as error:
        is_config = isinstance(error, SetupError)
        print_error("config" if is_config else "error", str(error))
        sys.exit(Exit.AUTH_OR_CONFIG if is_config else Exit.GENERAL)

"""All commands, put together."""

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from monitor import __version__
from monitor.core.errors import MonitorError

from . import demo, listings, running, setup
from .health import healthcheck
from .output import fail

app = typer.Typer(
    name="linkedapi-monitor",
    help="Watches the LinkedIn accounts behind Linked API and tells people when one stops working.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command()(running.run)
app.command()(running.check)
app.command()(demo.demo)
app.command()(demo.simulate)
app.command()(listings.accounts)
app.command()(listings.incidents)
app.command()(listings.deliveries)
app.add_typer(setup.config, name="config")
app.add_typer(setup.receivers, name="receivers")
app.command()(healthcheck)


@app.command()
def version(json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Print the version."""
    typer.echo(f'{{"success":true,"data":"{__version__}"}}' if json else __version__)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command; any error is one clear line and an exit code, never a traceback."""
    try:
        app(arguments)
    except MonitorError as error:
        sys.exit(fail(error))
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)

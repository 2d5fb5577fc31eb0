"""The command that prints the version."""

from typing import Annotated

import typer

from monitor import __version__


def version(json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Print the version."""
    typer.echo(f'{{"success":true,"data":"{__version__}"}}' if json else __version__)

"""The command that prints the version."""

from typing import Annotated

import typer

from monitor import __version__

from .output import print_json, print_lines


def version(json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Print the version."""
    if json:
        print_json(__version__)
    else:
        print_lines(__version__)

"""The options that many commands share."""

from pathlib import Path
from typing import Annotated

import typer

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        help="The configuration file; else LINKEDAPI_MONITOR_CONFIG, else the environment alone.",
        show_default=False,
    ),
]
JsonOption = Annotated[
    bool | None,
    typer.Option(
        "--json/--table",
        help="Print JSON, or a table; else a table on a terminal and JSON in a pipe.",
        show_default=False,
    ),
]
ByOption = Annotated[
    str | None,
    typer.Option("--by", help="Who does it; else the system's user.", show_default=False),
]
ShowLinksOption = Annotated[
    bool, typer.Option("--show-links", help="Show the links that log accounts in.")
]
LimitOption = Annotated[int, typer.Option("--limit", min=1, max=1_000_000, help="How many.")]


def pass_on(context: typer.Context, **options: object) -> None:
    """Let the command after this one have *options* that were written before it."""
    given = {name: value for name, value in options.items() if value is not None}
    context.default_map = {str(context.invoked_subcommand): given}

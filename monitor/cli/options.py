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
    bool, typer.Option("--json", help="Print JSON (the default when the output is piped).")
]
ByOption = Annotated[
    str | None,
    typer.Option("--by", help="Who does it; else the system's user.", show_default=False),
]
LimitOption = Annotated[int, typer.Option("--limit", min=1, help="How many at the most.")]

"""The options that many commands share."""

from pathlib import Path
from typing import Annotated, Final

import typer

from monitor.core.duration import Duration

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
MAX_NAME: Final = 64
MAX_REASON: Final = 300


def _check_name(name: str | None) -> str | None:
    """Return who *name* says it is; raise typer.BadParameter unless people can read it."""
    if name is not None and not (0 < len(name.strip()) <= MAX_NAME and name.isprintable()):
        raise typer.BadParameter(f"must be a name of 1 to {MAX_NAME} printable characters")
    return name and name.strip()


def _check_reason(reason: str) -> str:
    if len(reason) > MAX_REASON or not reason.isprintable():
        raise typer.BadParameter(f"must be a line of at most {MAX_REASON} printable characters")
    return reason.strip()


def _read_duration(text: str) -> Duration:
    try:
        duration = Duration.parse(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    if not duration:
        raise typer.BadParameter("must be longer than nothing")
    return duration


def parse_label(text: str) -> tuple[str, str]:
    """Return the name and the value of a label that is written KEY=VALUE."""
    key, separator, value = text.partition("=")
    if not key or not separator:
        raise typer.BadParameter("must be a label and its value, such as team=growth")
    return key, value


ByOption = Annotated[
    str | None,
    typer.Option(
        "--by",
        help="Who does it; else the system's user.",
        show_default=False,
        callback=_check_name,
    ),
]
ReasonOption = Annotated[
    str, typer.Option("--reason", help="Why; messages say it.", callback=_check_reason)
]
ForOption = Annotated[
    Duration | None,
    typer.Option("--for", metavar="DURATION", help="For how long: 4h, say.", parser=_read_duration),
]
ShowLinksOption = Annotated[
    bool, typer.Option("--show-links", help="Show the links that log accounts in.")
]
LimitOption = Annotated[int, typer.Option("--limit", min=1, max=1_000_000, help="How many.")]


def pass_on(context: typer.Context, **options: object) -> None:
    """Let the command after this one have *options* that were written before it."""
    given = {name: value for name, value in options.items() if value is not None}
    context.default_map = {str(context.invoked_subcommand): given}

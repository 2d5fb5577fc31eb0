"""The commands about the receivers."""

from typing import Annotated

import typer

from monitor.app import operations, process
from monitor.net import loop

from .log import configure_log
from .options import ConfigOption, JsonOption
from .output import Exit, print_error, print_rows

receivers = typer.Typer(help="The receivers.", no_args_is_help=True)


@receivers.command("test")
def send_test(
    names: Annotated[
        list[str] | None, typer.Argument(help="Which receivers; all of them if none is named.")
    ] = None,
    config_file: ConfigOption = None,
    json: JsonOption = None,
) -> None:
    """Send a test message to receivers and say how it went.

    Exit 1 if one of them did not take it.
    """
    config = process.load(config_file)
    configure_log(config)
    configured = [receiver.name for receiver in config.receivers]
    for name in names or ():
        if name not in configured:
            listed = ", ".join(configured) or "no receiver"
            print_error("validation", f"there is no receiver {name!r}; configured: {listed}")
            raise typer.Exit(Exit.VALIDATION)
    errors = loop.run(operations.try_receivers(config, names or configured))
    rows = [
        {"receiver": name, "accepted": error is None, "error": error and str(error)}
        for name, error in errors.items()
    ]
    columns = ["receiver", "accepted", "error"]
    print_rows(rows, as_json=json, columns=columns, empty="no receivers are configured")
    if any(errors.values()):
        raise typer.Exit(Exit.GENERAL)

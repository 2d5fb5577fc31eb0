"""All commands, put together. Each is loaded when it is called: no start pays for the others.

Their summaries stand here, so that help and completion need nothing else.
"""

import re
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Annotated, Any, Final

import typer
from typer.core import TyperCommand, TyperGroup

from monitor import __version__
from monitor.core.errors import ActError, MonitorError, SetupError, first_error

from .output import Exit, print_error, print_lines

PROGRAM: Final = "linkedapi-monitor"

COMMANDS: Final[Mapping[str, tuple[str, str]]] = {
    "run": ("run", "Run the monitor until SIGTERM or Ctrl-C."),
    "check": ("check", "Look at every workspace once; record and send nothing."),
    "accounts": ("accounts", "List the accounts as last seen, the bad ones first."),
    "incidents": ("incidents", "List the open incidents, newest first."),
    "ack": ("act", "Take incidents over: no reminders until they change or end."),
    "unack": ("act", "Give incidents back: nobody has them any more."),
    "mute": ("mute", "Tell nobody for a while; list what is muted, end it."),
    "deliveries": ("deliveries", "List the latest notifications and how they fare."),
    "workspaces": ("workspaces", "List the workspaces as last seen."),
    "reconnect": ("reconnect", "Have login links asked for, and say what came of it."),
    "forget": ("forget", "Erase an account that is not listed any more."),
    "backup": ("backup", "Copy the SQLite database to a new file, and verify it."),
    "store": ("store", "Copy the database into another, empty one."),
    "config": ("config", "Check the configuration, show it, or print its schema."),
    "receivers": ("receivers", "Send a test message to receivers."),
    "routes": ("routes", "Say who would hear of an incident, and by which route."),
    "healthcheck": ("health", "Ask the running monitor whether it is healthy."),
    "demo": ("demo", "Show a sign-out, its alert and the recovery."),
    "simulate": ("simulate", "Run the simulated Linked API alone."),
    "version": ("version", "Print the version."),
}
"""Each command with the module that has it, and what it does."""


_INVALID: Final = re.compile(r"Invalid value for '?([^':]+)'?: Input should be ([^,]+).*")


class _Commands(TyperGroup):
    """Commands that are known by their summaries until one is called."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = {
            name: TyperCommand(name, help=summary) for name, (_, summary) in COMMANDS.items()
        }

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Return the command that *args* begin with, loaded (the interface of typer)."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, load(name) if name and command else None, rest


def load(name: str) -> Any:
    """Return the command *name*, as typer makes it of the function or the group in its module."""
    command = getattr(import_module(f".{COMMANDS[name][0]}", __package__), name)
    group = typer.Typer(rich_markup_mode=None)
    if isinstance(command, typer.Typer):
        group.add_typer(command, name=name)
    else:
        group.command(name)(command)
    return typer.main.get_group(group).commands[name]


app = typer.Typer(
    cls=_Commands,
    help="Watches the LinkedIn accounts behind Linked API and tells people when one stops working.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _print_version(is_asked: bool) -> None:
    if is_asked:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", is_eager=True, callback=_print_version
        ),
    ] = False,
) -> None:
    """Options of the program itself."""


_KINDS: Final[Mapping[type[Exception], tuple[str, Exit]]] = {
    SetupError: ("config", Exit.AUTH_OR_CONFIG),
    ActError: ("validation", Exit.VALIDATION),
    MonitorError: ("error", Exit.GENERAL),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command; any error is one clear line and an exit code, never a traceback."""
    try:
        code = app(arguments, prog_name=PROGRAM, standalone_mode=False)
    except typer.TyperException as error:
        _explain_usage(error)
        sys.exit(error.exit_code)
    except Exception as error:  # noqa: BLE001 - what is none of ours is raised again
        cause = first_error(error)
        if isinstance(cause, UnicodeEncodeError) and not _is_text(arguments or sys.argv):
            print_error("usage", "the arguments must be text in UTF-8")
            sys.exit(Exit.AUTH_OR_CONFIG)
        if not isinstance(cause, MonitorError):
            raise cause from None
        type_, exit_code = next(kind for type_, kind in _KINDS.items() if isinstance(cause, type_))
        print_error(type_, str(cause))
        sys.exit(exit_code)
    sys.exit(code)


def _is_text(arguments: Sequence[str]) -> bool:
    """Return whether *arguments* are text: a path may be any bytes, what is looked up may not."""
    try:
        "".join(arguments).encode()
    except UnicodeEncodeError:
        return False
    return True


def _explain_usage(error: typer.TyperException) -> None:
    """Say what is wrong with the command line, and whose help says more."""
    message = error.format_message()
    if "\n" in message:  # it is the help itself: nothing was asked for
        print_lines(message, err=True)
        return
    message = _INVALID.sub(r"\1 must be \2", message).rstrip(".")
    context = getattr(error, "ctx", None)
    command = context.command_path if context else PROGRAM
    joint = " See" if message.endswith("?") else "; see"
    print_error("usage", f"{message}{joint} {command} --help")

"""The commands about the database as a whole."""

import time
from contextlib import closing
from functools import partial
from typing import Annotated, Final

import typer

from monitor.app import process
from monitor.core.errors import SetupError
from monitor.core.text import visible
from monitor.store import copying, exclusive
from monitor.store.db import Store

from .backup import summary
from .options import JsonOption
from .output import print_json, wants_json
from .signals import deferred_signals

store = typer.Typer(help="The database as a whole.", no_args_is_help=True)

PLACE: Final = "A configuration file, a URL without a password, or env:NAME, a variable with a URL."


@store.command()
def copy(
    source: Annotated[str, typer.Argument(metavar="FROM", help=PLACE)],
    target: Annotated[str, typer.Argument(metavar="TO", help="The same, of an empty database.")],
    json: JsonOption = None,
) -> None:
    """Copy a database into another, empty one.

    From SQLite to PostgreSQL, say, or back. Stop the monitor first. Started on the copy, it goes on
    as if nothing had happened.
    """
    urls = process.storage(source), process.storage(target)
    if urls[0] == urls[1]:
        raise SetupError("FROM and TO are the same database: nothing is to be copied")
    began = time.monotonic()
    with (
        deferred_signals() as pause,
        closing(Store.open(urls[0], create=False)) as former,
        closing(Store.open(urls[1])) as new,
    ):
        copying.check_empty(new)
        with exclusive.hold(former, process.REAL, say=_say, sleep=pause) as hold:
            rows = copying.copy(former, new, hold, pause=partial(pause, 0))
        names = {"from": former.name, "to": new.name}
    took = time.monotonic() - began
    if wants_json(json):
        print_json({**names, "took_seconds": round(took, 3), "rows": rows})
        return
    typer.echo(visible(f"{names['from']} → {names['to']}: copied in {took:.1f} s: {summary(rows)}"))


def _say(text: str) -> None:
    typer.echo(visible(text), err=True)

"""The commands about mutes: add one, list them, end one."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final

import typer

from monitor.app import process
from monitor.app.routing import make_routing
from monitor.config import Config
from monitor.core.act import ActKind
from monitor.core.errors import ActError
from monitor.core.inventory import matches_any
from monitor.core.model import Cause, Micros, Scope
from monitor.core.mutes import FOREVER, MuteRule
from monitor.core.route import Match
from monitor.core.text import bare, check_timezone, iso_time
from monitor.core.time_of_day import END_OF_TIME, parse_time
from monitor.cron import check_cron
from monitor.muting import window_of
from monitor.store import accounts, mutes, workspaces
from monitor.work import act as committed

from .actor import new_act
from .database import read, write
from .options import ByOption, ConfigOption, ForOption, JsonOption, ReasonOption, parse_label
from .output import print_lines, print_rows

COLUMNS: Final = ["id", "what", "to", "active", "starts", "until", "by", "reason"]

mute = typer.Typer(
    help="Tell nobody for a while; list what is muted, end it.", no_args_is_help=True
)

Globs = list[str] | None


@mute.command("list")
def list_mutes(config_file: ConfigOption = None, json: JsonOption = None) -> None:
    """List what is muted or will be: until when, and by whom.

    Those of the configuration come first. They have no id and are ended there.
    """
    config = process.load(config_file)
    print_rows(list(_rows(config)), as_json=json, columns=COLUMNS, empty="nothing is muted")


@mute.command()
def add(
    *,
    workspace: Annotated[Globs, typer.Option("--workspace", help="A glob; repeat it.")] = None,
    account: Annotated[
        Globs, typer.Option("--account", help="A glob for id or name; repeat it.")
    ] = None,
    cause: Annotated[
        list[Cause] | None, typer.Option("--cause", metavar="CAUSE", help="Repeat it.")
    ] = None,
    scope: Annotated[Scope | None, typer.Option("--scope")] = None,
    labels: Annotated[
        Globs, typer.Option("--labels", metavar="KEY=VALUE", help="Repeat it.")
    ] = None,
    recurring: Annotated[
        bool | None,
        typer.Option(
            "--recurring/--not-recurring",
            help="What happens again and again, or all else.",
            show_default=False,
        ),
    ] = None,
    to: Annotated[Globs, typer.Option("--to", help="For this receiver alone; repeat it.")] = None,
    starts: Annotated[
        str | None, typer.Option("--from", help="Else from now on.", show_default=False)
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", help="2026-12-27T08:00, say.", show_default=False)
    ] = None,
    lasts: ForOption = None,
    forever: Annotated[bool, typer.Option("--forever", help="Until somebody ends it.")] = False,
    cron: Annotated[
        str | None,
        typer.Option(
            "--cron", help="Again and again, each time --for so long.", show_default=False
        ),
    ] = None,
    timezone: Annotated[
        str | None, typer.Option("--timezone", help="Of all times.", show_default=False)
    ] = None,
    by: ByOption = None,
    reason: ReasonOption = "",
    config_file: ConfigOption = None,
    json: JsonOption = None,
) -> None:
    """Tell nobody of what matches for a while, or not these receivers.

    Nothing else changes: what opens and ends does so. Who has heard of something hears its end.
    What is still true is told when the mute ends.
    """
    config, now = process.load(config_file), process.now()
    if [until is not None, lasts is not None, forever].count(True) != 1:
        raise ActError("say how long: one of --until, --for and --forever")
    once = cron is None
    try:
        zone = check_timezone(timezone or config.timezone)
        if lasts is not None and once:
            start = now if starts is None else parse_time(starts, zone)
            until = iso_time(min(start + lasts, END_OF_TIME))
        rule = MuteRule(
            match=Match(
                causes=tuple(cause or ()),
                workspaces=tuple(workspace or ()),
                accounts=tuple(map(bare, account or ())),
                scopes=() if scope is None else (scope,),
                labels=dict(map(parse_label, labels or ())),
                recurring=recurring,
            ),
            to=tuple(to or ()),
            starts=(starts or iso_time(now)) if once else starts,
            until=FOREVER if forever else until,
            cron=cron if once else check_cron(cron or ""),
            lasts=None if once else lasts,
            timezone=zone,
            reason=reason,
        )
        ends = None if forever or not once else rule.times(zone)[1]
    except ValueError as error:
        raise ActError(f"such a mute {error}") from None
    if ends is not None and ends <= now:
        raise ActError(f"such a mute is over already: it ends at {iso_time(ends)}")
    _check_receivers(config, rule)
    for warning in _warnings(config, rule):
        print_lines(f"warning: {warning}", err=True)
    act, id_ = new_act(ActKind.MUTE, by=by, reason=reason), process.new_id()
    write(config, lambda tx: committed.mute(tx, act, rule, ends, id_), of=())
    rows = [row for row in _rows(config) if row["id"] == id_]
    print_rows(rows, as_json=json, columns=COLUMNS, empty="")


@mute.command()
def end(
    word: Annotated[
        str, typer.Argument(metavar="ID", help="Its id, or a unique start of it.", callback=bare)
    ],
    by: ByOption = None,
    reason: ReasonOption = "",
    config_file: ConfigOption = None,
    json: JsonOption = None,
) -> None:
    """End a mute: what it held and is still true is told.

    Those of the configuration are ended there.
    """
    config = process.load(config_file)
    act = new_act(ActKind.END_MUTE, by=by, reason=reason)
    rows = list(_rows(config))
    ended = write(config, lambda tx: committed.end_mute(tx, act, word), of=())
    rows = [{**row, "active": False} for row in rows if row["id"] == ended.id]
    print_rows(rows, as_json=json, columns=COLUMNS, empty="")


def _check_receivers(config: Config, rule: MuteRule) -> None:
    receivers = make_routing(config).receivers
    for name in rule.to:
        if name not in receivers:
            raise ActError(f"no receiver is called {name!r}; there are {', '.join(receivers)}")


def _warnings(config: Config, rule: MuteRule) -> Iterator[str]:
    """Yield which globs of *rule* match nothing that is known."""
    names = read(config, workspaces.load_attached)
    for glob in rule.match.workspaces:
        if not matches_any((glob,), names):
            yield f"no workspace is called {glob!r}"
    if rule.match.accounts:
        listed = read(config, lambda tx: [it for name in names for it in accounts.listed(tx, name)])
        called = [text for it in listed for text in (it.id, it.matched_name or it.name)]
        for glob in rule.match.accounts:
            if not matches_any((glob,), called):
                yield f"no account is called {glob!r}"


UNREADABLE: Final[Mapping[str, Any]] = {
    "id": None,
    "what": "nothing: another version of the monitor made it, or its time zone is not known here",
    "to": "",
    "active": False,
    "starts": None,
    "until": None,
    "cron": None,
    "by": "",
    "made_at": None,
    "reason": "",
}
"""What is printed of a mute by command that can't be read."""


def _rows(config: Config) -> Iterator[dict[str, Any]]:
    """Yield each mute as a row to print."""
    now = process.now()
    for rule in config.mutes:
        yield _row(rule, config.timezone, now)
    for recorded in read(config, lambda tx: mutes.load(tx, now)):
        row = _row(recorded.rule, config.timezone, now) if recorded.rule else dict(UNREADABLE)
        yield {**row, "id": recorded.id, "by": recorded.made_by, "made_at": recorded.made_at}


def _row(rule: MuteRule, timezone: str, now: Micros) -> dict[str, Any]:
    starts, until = window_of(rule, timezone, now)
    return {
        "id": None,
        "what": describe(rule),
        "to": ", ".join(rule.to) or "everybody",
        "active": starts <= now < until,
        "starts": starts or None,
        "until": None if until == END_OF_TIME else until,
        "cron": rule.cron,
        "by": "the configuration",
        "made_at": None,
        "reason": rule.reason,
    }


def describe(rule: MuteRule) -> str:
    """Say what *rule* mutes: `cause frozen, workspace acme-*`."""
    match = rule.match
    parts = [
        *(("cause", cause) for cause in match.causes),
        *(("scope", scope) for scope in match.scopes),
        *(("workspace", glob) for glob in match.workspaces),
        *(("account", glob) for glob in match.accounts),
        *(("label", f"{key}={value}") for key, value in match.labels.items()),
    ]
    if match.recurring is not None:
        parts.append(("recurring", str(match.recurring).lower()))
    return ", ".join(f"{name} {value}" for name, value in parts) or "everything"

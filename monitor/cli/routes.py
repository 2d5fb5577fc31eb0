"""The commands about the routes."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from typing import Annotated, Any, Final

import typer
from sqlalchemy import Connection

from monitor import muting
from monitor.app import process
from monitor.app.routing import make_routing
from monitor.config import Config
from monitor.core.dry_run import DryRun, dry_run
from monitor.core.duration import Duration
from monitor.core.errors import ActError
from monitor.core.inventory import AccountRule, matches_any
from monitor.core.model import Account, Cause, Event, EventType, Micros, Reason, Scope, Status
from monitor.core.mutes import Mutes
from monitor.core.route import MatchPart, Recipient, Route, Routing
from monitor.core.text import bare, iso_time
from monitor.core.time_of_day import TimeOfDay, parse_time
from monitor.store import accounts
from monitor.store.errors import NoDatabaseError

from .database import read
from .options import ConfigOption, JsonOption, LimitOption, parse_label
from .output import print_lines, print_rows, wants_json

DAY: Final = Duration.parse("1d")

ANYBODY: Final = "somebody"
"""The account that is tried if none is named and none has been seen."""

routes = typer.Typer(help="The routes.", no_args_is_help=True)


@routes.command("test")
def try_routes(
    *,
    cause: Annotated[Cause, typer.Option("--cause", help="Why the incident would open.")],
    account: Annotated[
        str | None, typer.Option("--account", help="A glob for its id or name; else all.")
    ] = None,
    workspace: Annotated[str, typer.Option("--workspace", help="A glob.")] = "*",
    labels: Annotated[
        list[str] | None,
        typer.Option(
            "--labels", metavar="KEY=VALUE", help="One more label, or another value; repeat it."
        ),
    ] = None,
    recurring: Annotated[
        bool, typer.Option("--recurring", help="It happens again and again.")
    ] = False,
    at: Annotated[
        str | None,
        typer.Option("--at", help="03:00, or 2026-12-24T18:00; else now.", show_default=False),
    ] = None,
    config_file: ConfigOption = None,
    json: JsonOption = None,
    limit: LimitOption = 100,
) -> None:
    """Say who would hear if an incident opened now, and by which route.

    Nothing is sent or recorded. Accounts are those that the monitor has seen; one that it has not
    is taken as it is written.
    """
    config = _with_labels(process.load(config_file), dict(map(parse_label, labels or ())))
    names = [it.name for it in config.workspaces if matches_any((workspace,), (it.name,))]
    if not names:
        listed = ", ".join(it.name for it in islice(config.workspaces, 20))
        raise ActError(f"no workspace is called {workspace!r}; configured: {listed}")
    if cause.scope is Scope.ACCOUNT:
        tried = _accounts(config, names, account and bare(account), cause, limit)
    elif account is None:
        tried = [(name, None) for name in islice(names, limit)]
    else:
        raise ActError(f"{cause} is of a workspace, not of an account: leave out --account")
    routing, when = make_routing(config), _point_in_time(at, config.timezone)
    mutes = _mutes(config, routing, when)
    times = config.incidents.recurring.times if recurring else None
    rows = []
    for name, about in tried:
        id_ = about.id if about else None
        opening = Event(
            "", EventType.OPENED, when, name, id_, "", Reason.SEEN_BAD, cause, times=times
        )
        rows.append(_row(opening, about, dry_run(opening, about, routing, mutes)))
    shown = rows if wants_json(json) else list(map(_for_people, rows))
    columns = ["workspace", "account_name", "cause", "route", "hears"]
    print_rows(shown, as_json=json, columns=columns, empty="", below="why")


def _point_in_time(at: str | None, timezone: str) -> Micros:
    """Return when it is *at*: that time of a day the next time, or that point in time, or now."""
    now = process.now()
    if at is None:
        return now
    with suppress(ValueError):
        time_of_day = TimeOfDay.parse(at)
        today = time_of_day.on_day_of(now, timezone)
        return today if today >= now else time_of_day.on_day_of(now, timezone, later=DAY)
    try:
        return parse_time(at, timezone)
    except ValueError as error:
        raise ActError(f"--at {error}, or of a day, such as 03:00") from None


def _mutes(config: Config, routing: Routing, at: Micros) -> Mutes:
    """Return what is muted *at* that time, as far as is known now."""
    try:
        return read(config, lambda tx: muting.active(tx, routing, at))
    except NoDatabaseError:
        return muting.configured(routing, at)


def _with_labels(config: Config, labels: dict[str, str]) -> Config:
    """Return *config* with *labels* that count before all that it says itself."""
    if not labels:
        return config
    workspaces = tuple(
        it.model_copy(update={"labels": {**it.labels, **labels}}) for it in config.workspaces
    )
    rules = (AccountRule(labels=labels), *config.accounts)
    return config.model_copy(update={"workspaces": workspaces, "accounts": rules})


def _accounts(
    config: Config, names: Sequence[str], glob: str | None, cause: Cause, limit: int
) -> list[tuple[str, Account | None]]:
    """Return up to *limit* accounts that *glob* matches with their workspaces, else a made one."""

    def load(tx: Connection) -> list[Account]:
        seen = (account for name in names for account in accounts.listed(tx, name))
        return list(islice((it for it in seen if _is_called(it, glob)), limit + 1))

    has_database = True
    try:
        listed = read(config, load)
    except NoDatabaseError:
        listed, has_database = [], False
    if len(listed) > limit:
        print_lines(f"warning: there are more than {limit}; the first are shown", err=True)
    if listed:
        return [(account.workspace, account) for account in listed[:limit]]
    name = glob or ANYBODY
    if has_database:
        print_lines(f"warning: no account is called {name!r}: taken as a new one", err=True)
    return [(workspace, _made(workspace, name, cause)) for workspace in names[:limit]]


def _is_called(account: Account, glob: str | None) -> bool:
    if glob is None:
        return True
    names = (account.id, account.name, account.matched_name or account.name)
    return matches_any((glob,), names) or account.id.startswith(glob)


def _made(workspace: str, name: str, cause: Cause) -> Account:
    status = Status.UNKNOWN if cause is Cause.FLAPPING else Status(cause.value)
    now = process.now()
    return Account(
        workspace=workspace,
        id=name,
        name=name,
        url="",
        country="",
        status=status,
        raw_status=status,
        since=now,
        first_seen_at=now,
        matched_name=name,
        matched_url="",
    )


def _row(opening: Event, account: Account | None, run: DryRun) -> dict[str, Any]:
    return {
        "workspace": opening.workspace,
        "account_id": opening.account_id,
        "account_name": account and account.name,
        "cause": opening.cause,
        "labels": run.labels,
        "ignored": run.is_ignored,
        "routes": [
            {
                "number": number,
                "to": list(route.to),
                "matches": differs is None,
                "why_not": differs and _wanted(route, differs),
            }
            for number, (route, differs) in enumerate(run.asked)
        ],
        "hears": _shown(run.recipients),
        "held": [
            {**shown, "until": iso_time(until)}
            for (it, until) in run.held
            for shown in _shown([it])
        ],
        "escalates": [
            {"after": str(after), "hears": _shown(recipients)} for after, recipients in run.steps
        ],
        "fallback": run.stands_in,
        "without_address": list(run.without_address),
    }


def _shown(recipients: Iterable[Recipient]) -> list[dict[str, str | None]]:
    return [{"receiver": it.receiver, "address": it.address or None} for it in recipients]


def _wanted(route: Route, part: MatchPart) -> str:
    """Return what *route* wants where its match differs: `cause frozen`."""
    match part:
        case "cause":
            wanted: Iterable[str] = route.match.causes
        case "scope":
            wanted = route.match.scopes
        case "workspace":
            wanted = route.match.workspaces
        case "account":
            wanted = route.match.accounts
        case "labels":
            wanted = (f"{key}={value}" for key, value in route.match.labels.items())
        case "recurring":
            wanted = (str(route.match.recurring).lower(),)
    return f"{part} {', '.join(wanted)}"


def _for_people(row: dict[str, Any]) -> dict[str, Any]:
    matching = [f"routes[{it['number']}]" for it in row["routes"] if it["matches"]]
    return {
        **row,
        "route": "fallback" if row["fallback"] else ", ".join(matching),
        "hears": _names(row["hears"]),
        "why": "; ".join(_reasons(row)),
    }


def _names(hears: Iterable[dict[str, str | None]]) -> str:
    names = (f"{it['receiver']}" + (f" ({it['address']})" if it["address"] else "") for it in hears)
    return ", ".join(names) or "nobody"


def _reasons(row: dict[str, Any]) -> Iterator[str]:
    """Yield why it goes to whom it goes to."""
    if row["ignored"]:
        yield "this account is not watched (ignore: true)"
    elif not row["routes"]:
        yield "there are no routes: every receiver hears everything"
    for route in row["routes"]:
        name = f"routes[{route['number']}]"
        yield f"{name} matches" if route["matches"] else f"{name} is for {route['why_not']}"
    for receiver in row["without_address"]:
        yield f"no label has an address for {receiver}"
    for it in row["held"]:
        yield f"{it['receiver']} is muted until {it['until']}"
    for step in row["escalates"]:
        yield f"after {step['after']} without `ack` {_names(step['hears'])}"
    if row["fallback"]:
        yield "nobody else would hear"
    elif not row["hears"] and not row["held"] and not row["ignored"]:
        yield "there is no fallback"

"""The command that looks at everything once."""

from collections.abc import Mapping, Sequence
from typing import Any

import typer

from monitor import muting
from monitor.app import operations, process
from monitor.app.routing import make_routing
from monitor.config import Config
from monitor.core import billing
from monitor.core.errors import ApiError
from monitor.core.inventory import matches_any
from monitor.core.model import LISTED, Cause, Failure, Skipped
from monitor.core.subscription import Conditions, Subscription, find_conditions
from monitor.net import loop
from monitor.source.token import WHERE_TOKENS_ARE

from .log import configure_log
from .options import ConfigOption, JsonOption
from .output import EXIT_BY_CAUSE, EXIT_BY_STATUS, Exit, print_error, print_lines, print_rows, worst


def check(config_file: ConfigOption = None, json: JsonOption = None) -> None:
    """Look at every workspace once; neither record nor send anything.

    Exit 0 if all is well, 4 if an account needs a login, 3 if one is frozen; 2, 7, 6 or 1 if a
    workspace can't be read (token or configuration, network, rate limit, anything else). What is
    wrong with a subscription is said, and changes no exit code. What the configuration mutes at the
    moment is marked.
    """
    config = process.load(config_file)
    configure_log(config, level="error")
    now = process.now()
    rows: list[dict[str, Any]] = []
    codes: list[Exit] = []
    inventory, mutes = config.inventory(), muting.configured(make_routing(config), now)
    for workspace, look in loop.run(operations.look(config)).items():
        observation = look.observation
        if isinstance(observation, Skipped):
            continue
        if isinstance(observation, Failure):
            codes.append(EXIT_BY_CAUSE[observation.cause])
            detail = observation.detail
            if observation.cause is Cause.TOKEN_REJECTED and WHERE_TOKENS_ARE not in detail:
                detail += f"; {WHERE_TOKENS_ARE}"
            print_error(observation.cause, f"{workspace}: {detail}")
            continue
        if problem := _problem(look.paying, len(observation.accounts)):
            print_error(Cause.SUBSCRIPTION, f"{workspace}: {problem}")
        for account in sorted(
            observation.accounts,
            key=lambda account: (-EXIT_BY_STATUS[account.status], account.name, account.id),
        ):
            if inventory.ignores(workspace, account):
                continue
            codes.append(EXIT_BY_STATUS[account.status])
            listed = {key: getattr(account, key) for key in LISTED}
            labels = inventory.labels(workspace, account)
            muted_until = mutes.until_of(workspace, account, labels)
            rows.append(
                {
                    "workspace": workspace,
                    **listed,
                    "as_of": now,
                    "labels": labels,
                    "muted_until": muted_until,
                }
            )
    for glob in _unmatched(config, rows):
        print_lines(f"warning: mutes: no account is called {glob!r}", err=True)
    columns = ["workspace", "name", "status", "id"]
    columns += ["muted_until"] if any(row["muted_until"] for row in rows) else []
    if rows or not codes:
        print_rows(rows, as_json=json, columns=columns, empty="there are no accounts")
    raise typer.Exit(worst(codes))


def _unmatched(config: Config, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the globs for accounts in the mutes of *config* that none of *rows* fits."""
    called = [text for row in rows for text in (row["id"], row["name"])]
    globs = (glob for rule in config.mutes for glob in rule.match.accounts)
    return [glob for glob in globs if not matches_any((glob,), called)]


def _problem(paying: Subscription | ApiError | None, accounts: int) -> str | None:
    """Return what is wrong with how so many *accounts* are paid for, or why nobody knows."""
    if isinstance(paying, ApiError):
        return f"the subscription can't be asked about: {paying}"
    if paying is None or not (conditions := find_conditions(paying, accounts, Conditions())):
        return None
    return f"the Linked API subscription {billing.state(conditions)}"

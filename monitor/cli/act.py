"""The commands by which people take incidents over and give them back."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

import typer
from sqlalchemy import Connection

from monitor.app import process
from monitor.app.routing import make_routing
from monitor.config import Config
from monitor.core.act import Act, ActKind
from monitor.core.errors import ActError
from monitor.core.model import Cause, Incident
from monitor.core.text import bare, iso_time
from monitor.store import accounts, lookup
from monitor.store import incidents as recorded
from monitor.work import act as committed
from monitor.work.act import ActRules, Chosen
from monitor.work.record import Recorded

from .actor import new_act
from .database import read, write
from .incidents import unclear
from .options import ByOption, ConfigOption, ForOption, JsonOption, ReasonOption
from .output import print_rows

COLUMNS: Final = ["workspace", "account_name", "cause", "acknowledged_by", "acknowledged_until"]

WordArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="[ACCOUNT|INCIDENT]",
        help="An account or an incident: its id, a unique start of it, or its name.",
        show_default=False,
    ),
]
WorkspaceOption = Annotated[
    str | None,
    typer.Option("--workspace", help="All of a workspace, with --cause.", show_default=False),
]
CauseOption = Annotated[
    Cause | None,
    typer.Option("--cause", metavar="CAUSE", help="All of that cause.", show_default=False),
]


def ack(
    word: WordArgument = None,
    *,
    workspace: WorkspaceOption = None,
    cause: CauseOption = None,
    lasts: ForOption = None,
    by: ByOption = None,
    reason: ReasonOption = "",
    config_file: ConfigOption = None,
    json: JsonOption = None,
) -> None:
    """Take incidents over: nobody is reminded of them, or called next, while they last.

    That ends with the incident, when its cause changes, with `unack`, or after --for. All that is
    told meanwhile says who has it and why. Who takes over what somebody has has it from then on.
    """
    config = process.load(config_file)
    choice = choose(config, word, workspace, cause)
    act = choice.act(ActKind.ACK, by=by, reason=reason)

    def work(tx: Connection, rules: ActRules) -> Recorded:
        return committed.ack(tx, act, choice.chosen, rules, lasts=lasts)

    print_rows(_commit(config, act, work), as_json=json, columns=COLUMNS, empty="")


def unack(
    word: WordArgument = None,
    *,
    workspace: WorkspaceOption = None,
    cause: CauseOption = None,
    by: ByOption = None,
    reason: ReasonOption = "",
    config_file: ConfigOption = None,
    json: JsonOption = None,
) -> None:
    """Give incidents back, whoever has them: what was due meanwhile is told at once."""
    config = process.load(config_file)
    choice = choose(config, word, workspace, cause)
    act = choice.act(ActKind.UNACK, by=by, reason=reason)

    def work(tx: Connection, rules: ActRules) -> Recorded:
        return committed.unack(tx, act, choice.chosen, rules)

    print_rows(_commit(config, act, work), as_json=json, columns=COLUMNS[:3], empty="")


@dataclass(frozen=True, slots=True)
class Choice:
    """What of a *workspace* a person means: one *subject*, or several as *detail* says."""

    workspace: str
    chosen: Chosen
    subject: str | None = None
    detail: str = ""

    def act(self, kind: ActKind, *, by: str | None, reason: str) -> Act:
        """Return what the person here does about it."""
        return new_act(
            kind, self.workspace, by=by, reason=reason, subject=self.subject, detail=self.detail
        )


def choose(config: Config, word: str | None, workspace: str | None, cause: Cause | None) -> Choice:
    """Return which open incidents are meant: the one that *word* names, or a set.

    Raise ActError if that is unclear, or nothing of it is open; it names what could be meant.
    """
    if word is not None and workspace is None and cause is None:
        return _find(config, bare(word))
    if word is None and workspace is not None and cause is not None:
        _check_set(config, workspace, cause)
        return Choice(workspace, Chosen(cause=cause), detail=f"all of the cause {cause}")
    raise ActError("name an account or an incident, or a set of them by --workspace and --cause")


def _commit(config: Config, act: Act, work: Callable[[Connection, ActRules], Recorded]) -> Any:
    """Commit what follows from *act*; return its incidents as rows to print."""
    rules = ActRules(config.incidents, make_routing(config), process.new_id)
    done = write(config, lambda tx: work(tx, rules), of=(act.workspace or "",))
    return _rows(config, done.decision.incidents)


def _find(config: Config, word: str) -> Choice:
    """Return the open incident that *word* means."""

    def load(tx: Connection) -> Incident | Sequence[lookup.Candidate]:
        candidates = lookup.incidents(tx, word)
        incident = recorded.load(tx, candidates[0].id) if len(candidates) == 1 else None
        return incident or candidates

    incident = read(config, load)
    if not isinstance(incident, Incident):
        raise ActError(unclear(word, incident))
    if incident.resolved_at is not None:
        ended = f"{incident.id} ({incident.cause} in {incident.workspace})"
        raise ActError(f"the incident {ended} ended at {iso_time(incident.resolved_at)}")
    return Choice(incident.workspace, Chosen(ids=(incident.id,)), incident.subject)


def _check_set(config: Config, workspace: str, cause: Cause) -> None:
    """Raise ActError if nothing of *cause* is open in *workspace*; it says what is."""
    counts = read(config, lambda tx: recorded.open_by_cause(tx, workspace))
    if cause not in counts:
        listed = ", ".join(f"{number} {cause}" for cause, number in sorted(counts.items()))
        there = f"open there: {listed}" if listed else "nothing is open there"
        raise ActError(f"no incident of the cause {cause} is open in {workspace!r}; {there}")


def _rows(config: Config, incidents: Sequence[Incident]) -> list[Mapping[str, Any]]:
    def names(tx: Connection) -> list[str | None]:
        of = (accounts.load(tx, it.workspace, it.account_id) for it in incidents)
        return [account.name if account else None for account in of]

    return [
        {
            "id": incident.id,
            "workspace": incident.workspace,
            "account_id": incident.account_id,
            "account_name": name,
            "cause": incident.cause,
            "acknowledged_by": incident.acknowledged_by,
            "acknowledged_until": incident.acknowledged_until,
            "reason": incident.acknowledged_reason,
        }
        for incident, name in zip(incidents, read(config, names), strict=True)
    ]

"""The dashboard of the accounts: how many work, who is down since when, and how they come back."""

from collections.abc import Iterator
from typing import Final

from grafana_foundation_sdk.builders import dashboard as building

from .layout import CHOSEN, begun, finished, workspaces
from .panels import (
    CAUSE,
    ENDED,
    NONE_IS_GOOD,
    STATUS,
    Column,
    Frame,
    Panel,
    Query,
    Word,
    gauges,
    lines,
    number,
    rows,
    timeline,
)

SAME: Final = "on (instance, workspace, account_id)"

DOWN: Final = f"""max by (workspace, account_id, name, country, status) (
  linkedapi_account_status{{status!="active", {CHOSEN}}}
  * {SAME} group_left (name, country) linkedapi_account_info
  * {SAME} group_left () linkedapi_account_status_since_timestamp_seconds
)"""
"""Since when each account is down, in seconds; no series where metrics.per_account is none."""

WHEN: Final = f"""max by (workspace, account_id, name) (
  (
    linkedapi_account_status{{status="reconnection_required", {CHOSEN}}}
    or linkedapi_account_status{{status="frozen", {CHOSEN}}} * 2
    or linkedapi_account_status{{status="unknown", {CHOSEN}}} * 3
  )
  * {SAME} group_left (name) linkedapi_account_info
)"""
WHEN_STATES: Final = {
    "1": STATUS["reconnection_required"],
    "2": STATUS["frozen"],
    "3": STATUS["unknown"],
}

PHASES: Final[dict[str, Word]] = {
    "notified": ("someone is told", "blue"),
    "clicked": ("the link is opened", "purple"),
    "login": ("a login begins", "orange"),
    "active": ("active again", "green"),
}

TO: Final = {**STATUS, "absent": ("gone", "text")}
HELP: Final = {
    "reconnection_required": "LinkedApiAccountNeedsLogin",
    "frozen": "LinkedApiAccountFrozen",
    "unknown": "LinkedApiAccountStatusUnknown",
}


def dashboard() -> building.Dashboard:
    """Make it."""
    made = begun(
        "linkedapi-fleet",
        "Linked API: the accounts",
        "Which LinkedIn accounts work, who is down since when, and how they come back.",
        [workspaces()],
    )
    return finished(made, _panels())


def _panels() -> Iterator[Panel]:
    yield from _counts()
    yield rows(
        Frame(
            title="Who is down, since when",
            about="Accounts that are not active, those that are down longest first. Empty where"
            " metrics.per_account is none: then `linkedapi-monitor accounts` lists them.",
            width=16,
            height=9,
            runbooks=tuple(HELP.values()),
        ),
        Query(f"{DOWN} * 1000"),
        Query(f"time() - {DOWN}"),
        columns=[
            Column(field="name", title="Account", width=140),
            Column(field="workspace", title="Workspace", width=100),
            Column(field="status", title="Status", width=115, text=STATUS),
            Column(field="Value #A", title="Since", unit="dateTimeAsIso", width=160),
            Column(field="Value #B", title="For", unit="s", width=90),
            Column(field="account_id", title="Account id"),
        ],
        sort="Since",
    )
    yield _recovery()
    yield lines(
        Frame(
            title="Accounts by status",
            about="The last known status of every account. While a workspace cannot be read, its"
            " accounts keep theirs.",
            width=12,
        ),
        Query(f"sum by (status) (linkedapi_accounts{{{CHOSEN}}})", "{{status}}"),
        colours=STATUS,
        stacked=True,
    )
    yield lines(
        Frame(
            title="Accounts that are not active, by workspace",
            about="Many at once in one workspace usually have one cause.",
            width=12,
            runbooks=("LinkedApiManyAccountsNotActive", "LinkedApiAccountsNotActive"),
        ),
        Query(
            f'sum by (workspace) (linkedapi_accounts{{status!="active", {CHOSEN}}})',
            "{{workspace}}",
        ),
    )
    yield timeline(
        Frame(
            title="Who was down when",
            about="Each account that was not active; where its row is empty it was.",
            width=24,
            height=9,
        ),
        Query(WHEN, "{{name}} ({{workspace}})"),
        states=WHEN_STATES,
    )
    yield from _happenings()


def _counts() -> Iterator[Panel]:
    for status, (shown, colour) in STATUS.items():
        runbook = HELP.get(status)
        yield number(
            Frame(
                title=shown.capitalize(),
                about=f"Accounts whose last known status is {status}.",
                width=4,
                height=4,
                runbooks=(runbook,) if runbook else (),
            ),
            f'sum(linkedapi_accounts{{status="{status}", {CHOSEN}}})',
            steps=((None, "text"), (1, colour)),
        )
    yield number(
        Frame(
            title="Open incidents",
            about="Problems of accounts and workspaces that people were told of.",
            width=4,
            height=4,
        ),
        f"sum(linkedapi_incidents_open{{{CHOSEN}}})",
        steps=((None, "green"), (1, "orange")),
    )
    yield number(
        Frame(
            title="Workspaces not readable",
            about="What is shown of their accounts may be old.",
            width=4,
            height=4,
            runbooks=("LinkedApiWorkspaceUnreadable",),
        ),
        f"count(linkedapi_workspace_up{{{CHOSEN}}} == 0) or vector(0)",
        steps=NONE_IS_GOOD,
    )


def _recovery() -> Panel:
    counted = "sum by (phase) (increase(linkedapi_recovery_seconds_count[$__range]))"
    bucket = "sum by (phase, le) (increase(linkedapi_recovery_seconds_bucket[$__range]))"
    return rows(
        Frame(
            title="Recovery, from the detection of a problem",
            about="How long it took until someone was told, and until the account was active"
            " again: half and nine tenths within so long. All workspaces, in the time shown.",
            width=8,
            height=9,
            unit="s",
            decimals=1,
        ),
        Query(counted),
        Query(f"histogram_quantile(0.5, {bucket})"),
        Query(f"histogram_quantile(0.9, {bucket})"),
        columns=[
            Column(field="phase", title="Until", text=PHASES),
            Column(field="Value #A", title="Times", unit="none", decimals=0, width=70),
            Column(field="Value #B", title="Half", width=80),
            Column(field="Value #C", title="9 of 10", width=80),
        ],
        sort="Half",
    )


def _happenings() -> Iterator[Panel]:
    yield lines(
        Frame(
            title="Changes of status",
            about="How many accounts became what.",
            width=8,
        ),
        Query(
            f"sum by (to) (increase(linkedapi_account_transitions_total{{{CHOSEN}}}"
            "[$__rate_interval]))",
            "{{to}}",
        ),
        colours=TO,
        bars=True,
        stacked=True,
    )
    yield lines(
        Frame(
            title="Open incidents by cause",
            about="Incidents of accounts, and of workspaces that cannot be read.",
            width=8,
        ),
        Query(f"sum by (cause) (linkedapi_incidents_open{{{CHOSEN}}})", "{{cause}}"),
        colours=CAUSE,
        stacked=True,
    )
    yield gauges(
        Frame(
            title="Login links asked for",
            about="How often Linked API was asked for a link where it listed none, in the time"
            " shown, and what came of it.",
            width=8,
            decimals=0,
        ),
        Query(
            "sum by (outcome) (increase("
            f"linkedapi_reconnection_sessions_created_total{{{CHOSEN}}}[$__range]))",
            "{{outcome}}",
        ),
        colours=ENDED,
    )

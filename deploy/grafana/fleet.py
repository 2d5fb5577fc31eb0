"""The dashboard of the accounts: how many work, who is down since when, and how they come back."""

from collections.abc import Iterator
from typing import Final

from grafana_foundation_sdk.builders.dashboard import Dashboard

from .layout import ACCOUNT, JOB, WORKSPACE, account_variable, new_dashboard, once
from .panels import (
    CAUSE,
    NONE_IS_GOOD,
    OUTCOME,
    RUNBOOKS,
    STATUS,
    Column,
    Display,
    Panel,
    PanelOptions,
    Query,
    bar_gauge_panel,
    stat_panel,
    state_timeline_panel,
    table_panel,
    time_series_panel,
)

BY_STATUS: Final = once(f"linkedapi_accounts{{{WORKSPACE}}}", "status")
NOT_ACTIVE_BY_STATUS: Final = once(f'linkedapi_accounts{{status!="active", {WORKSPACE}}}', "status")
INCIDENTS: Final = once(f"linkedapi_incidents_open{{{WORKSPACE}}}", "cause")
SAME_ACCOUNT: Final = "on (instance, workspace, account_id)"

RUNBOOK: Final = {
    "reconnection_required": "LinkedApiAccountNeedsLogin",
    "frozen": "LinkedApiAccountFrozen",
    "unknown": "LinkedApiAccountStatusUnknown",
}


def _with_runbook(expr: str) -> str:
    for status, runbook in RUNBOOK.items():
        expr = f'label_replace({expr}, "runbook", "{runbook}", "status", "{status}")'
    return expr


DOWN: Final = _with_runbook(f'linkedapi_account_status{{status!="active", {ACCOUNT}}}')
DOWN_SINCE: Final = f"""max by (workspace, account_id, name, url, status, runbook) (
  {DOWN}
  * {SAME_ACCOUNT} group_left (name, url) linkedapi_account_info{{{JOB}}}
  * {SAME_ACCOUNT} group_left () linkedapi_account_status_since_timestamp_seconds{{{JOB}}}
)"""
"""Since when each account is down, in seconds; no series where metrics.per_account is none."""

NOT_ACTIVE: Final = f"""max by (workspace, account_id, name) (
  (
    linkedapi_account_status{{status="reconnection_required", {ACCOUNT}}}
    or linkedapi_account_status{{status="frozen", {ACCOUNT}}} * 2
    or linkedapi_account_status{{status="unknown", {ACCOUNT}}} * 3
  )
  * {SAME_ACCOUNT} group_left (name) linkedapi_account_info{{{JOB}}}
)"""
NOT_ACTIVE_STATES: Final = {
    "1": STATUS["reconnection_required"],
    "2": STATUS["frozen"],
    "3": STATUS["unknown"],
}

PHASE: Final[dict[str, Display]] = {
    "notified": ("someone is told", "blue"),
    "clicked": ("the link is opened", "purple"),
    "login": ("a login begins", "orange"),
    "active": ("active again", "green"),
}

NEW_STATUS: Final = {**STATUS, "absent": ("gone", "text")}


def dashboard() -> Dashboard:
    """Build the dashboard."""
    return new_dashboard(
        "linkedapi-fleet",
        "Linked API: the accounts",
        "Which LinkedIn accounts work, who is down since when, and how they come back.",
        variables=[account_variable()],
        panels=_panels(),
    )


def _panels() -> Iterator[Panel]:
    yield from _counts()
    yield table_panel(
        PanelOptions(
            title="Who is down, since when",
            description="Accounts that are not active, those that are down longest first, with"
            " links to what to do and to the LinkedIn profile. Empty where metrics.per_account is"
            " none: then `linkedapi-monitor accounts` lists them.",
            width=24,
            height=9,
            runbooks=tuple(RUNBOOK.values()),
        ),
        Query(f"{DOWN_SINCE} * 1000"),
        Query(f"time() - {DOWN_SINCE}"),
        columns=[
            Column(field="name", title="Account", width=140),
            Column(field="workspace", title="Workspace", width=100),
            Column(field="status", title="Status", width=115, displays=STATUS),
            Column(field="Value #A", title="Since", unit="dateTimeAsIso", width=160),
            Column(field="Value #B", title="For", unit="s", width=90),
            Column(
                field="runbook",
                title="What to do",
                url=f"{RUNBOOKS}${{__value.raw}}.md",
                width=200,
            ),
            Column(field="url", title="Profile", url="${__value.raw:raw}", width=200),
            Column(field="account_id", title="Account id"),
        ],
        sort="Since",
    )
    yield _recovery()
    yield time_series_panel(
        PanelOptions(
            title="Accounts by status",
            description="The last known status of every account. While a workspace cannot be read,"
            " its accounts keep theirs.",
            width=8,
        ),
        Query(f"sum by (status) ({BY_STATUS})", "{{status}}"),
        displays=STATUS,
        stacked=True,
    )
    yield time_series_panel(
        PanelOptions(
            title="Accounts that are not active, by workspace",
            description="Many at once in one workspace usually have one cause.",
            width=8,
            runbooks=("LinkedApiManyAccountsNotActive", "LinkedApiAccountsNotActive"),
        ),
        Query(
            f"sum by (workspace) ({NOT_ACTIVE_BY_STATUS})",
            "{{workspace}}",
        ),
    )
    yield state_timeline_panel(
        PanelOptions(
            title="Who was down when",
            description="Each account that was not active; where its row is empty it was.",
            width=24,
            height=9,
        ),
        Query(NOT_ACTIVE, "{{name}} ({{workspace}})"),
        states=NOT_ACTIVE_STATES,
    )
    yield from _changes()


def _counts() -> Iterator[Panel]:
    for status, (text, colour) in STATUS.items():
        runbook = RUNBOOK.get(status)
        accounts = f'linkedapi_accounts{{status="{status}", {WORKSPACE}}}'
        yield stat_panel(
            PanelOptions(
                title=text.capitalize(),
                description=f"Accounts whose last known status is {status}.",
                width=4,
                height=4,
                runbooks=(runbook,) if runbook else (),
            ),
            f"sum({once(accounts)})",
            steps=((None, "text"), (1, colour)),
        )
    yield stat_panel(
        PanelOptions(
            title="Open incidents",
            description="Problems of accounts and workspaces that people were told of.",
            width=4,
            height=4,
        ),
        f"sum({INCIDENTS})",
        steps=((None, "green"), (1, "orange")),
    )
    yield stat_panel(
        PanelOptions(
            title="Workspaces not readable",
            description="What is shown of their accounts may be old.",
            width=4,
            height=4,
            runbooks=("LinkedApiWorkspaceUnreadable",),
        ),
        f"count({once(f'linkedapi_workspace_up{{{WORKSPACE}}}')} == 0) or vector(0)",
        steps=NONE_IS_GOOD,
    )


def _recovery() -> Panel:
    counted = f"sum by (phase) (increase(linkedapi_recovery_seconds_count{{{JOB}}}[$__range]))"
    bucket = f"sum by (phase, le) (increase(linkedapi_recovery_seconds_bucket{{{JOB}}}[$__range]))"
    return table_panel(
        PanelOptions(
            title="Recovery, from the detection of a problem",
            description="How long it took until someone was told, and until the account was active"
            " again: half of all (p50) and 19 of 20 (p95) within so long. All workspaces, in the"
            " time shown.",
            width=8,
            unit="s",
            decimals=1,
        ),
        Query(counted),
        Query(f"histogram_quantile(0.5, {bucket})"),
        Query(f"histogram_quantile(0.95, {bucket})"),
        columns=[
            Column(field="phase", title="Until", displays=PHASE),
            Column(field="Value #A", title="Times", unit="none", decimals=0, width=70),
            Column(field="Value #B", title="p50", width=80),
            Column(field="Value #C", title="p95", width=80),
        ],
        sort="p50",
    )


def _changes() -> Iterator[Panel]:
    yield time_series_panel(
        PanelOptions(
            title="Changes of status",
            description="How many accounts became what.",
            width=8,
        ),
        Query(
            f"sum by (to) (increase(linkedapi_account_transitions_total{{{WORKSPACE}}}"
            "[$__rate_interval]))",
            "{{to}}",
        ),
        displays=NEW_STATUS,
        bars=True,
        stacked=True,
    )
    yield time_series_panel(
        PanelOptions(
            title="Open incidents by cause",
            description="Incidents of accounts, and of workspaces that cannot be read.",
            width=8,
        ),
        Query(f"sum by (cause) ({INCIDENTS})", "{{cause}}"),
        displays=CAUSE,
        stacked=True,
    )
    yield bar_gauge_panel(
        PanelOptions(
            title="Login links asked for",
            description="How often Linked API was asked for a link where it listed none, in the"
            " time shown, and what came of it.",
            width=8,
            decimals=0,
        ),
        Query(
            "sum by (outcome) (increase("
            f"linkedapi_reconnection_sessions_created_total{{{WORKSPACE}}}[$__range]))",
            "{{outcome}}",
        ),
        displays=OUTCOME,
    )

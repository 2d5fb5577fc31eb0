"""The dashboard of the monitor itself: whether it sees, how fast, and whether people hear of it."""

from collections.abc import Iterator
from typing import Final

from grafana_foundation_sdk.builders.dashboard import Dashboard

from .layout import JOB, WORKSPACE, new_dashboard, once
from .panels import (
    CAUSE,
    NONE_IS_GOOD,
    OUTCOME,
    RUNBOOKS,
    Column,
    Panel,
    PanelOptions,
    Query,
    stat_panel,
    table_panel,
    time_series_panel,
)

FAILED: Final = ', reason!="ok"'
QUANTILES: Final = "p50: half of all within; p95: 19 of 20."
POLL_OUTCOME: Final = {"ok": ("", "green"), **CAUSE}

LAST_READ: Final = f"linkedapi_last_successful_poll_timestamp_seconds{{{WORKSPACE}}}"
AGE_LIMITS: Final = ((None, "transparent"), (900, "red"))
"""Where the alerts about old data and stuck notifications begin."""

REQUEST_LIMITS: Final = ((None, "transparent"), (60, "orange"), (100, "red"))
"""The monitor's default share of the requests a minute that each token has, and all of them."""


def dashboard() -> Dashboard:
    """Build the dashboard."""
    return new_dashboard(
        "linkedapi-monitor",
        "Linked API: the monitor",
        "Whether the monitor sees all accounts, and whether people hear of what it sees.",
        panels=(*_overview(), *_polls(), *_requests(), *_outbox(), *_process()),
    )


def _overview() -> Iterator[Panel]:
    yield stat_panel(
        PanelOptions(title="Version", description="The version that runs.", width=3, height=4),
        f"max by (version) (linkedapi_monitor_build_info{{{JOB}}})",
        shows_name=True,
    )
    yield stat_panel(
        PanelOptions(
            title="Running for",
            description="Since the latest start.",
            width=3,
            height=4,
            unit="s",
            decimals=1,
            runbooks=("LinkedApiMonitorDown", "LinkedApiReplicaDown", "LinkedApiMonitorAbsent"),
        ),
        f"time() - max(process_start_time_seconds{{{JOB}}})",
    )
    yield stat_panel(
        PanelOptions(
            title="Restarts",
            description="In the time shown.",
            width=3,
            height=4,
            decimals=0,
            runbooks=("LinkedApiMonitorRestarting",),
        ),
        f"sum(changes(process_start_time_seconds{{{JOB}}}[$__range]))",
        steps=((None, "text"), (4, "red")),
    )
    yield stat_panel(
        PanelOptions(
            title="Configuration",
            description="Whether the configuration was last loaded without a problem.",
            width=3,
            height=4,
            runbooks=("LinkedApiConfigReloadFailed",),
        ),
        f"min(linkedapi_monitor_config_last_reload_successful{{{JOB}}})",
        displays={"1": ("loaded", "green"), "0": ("refused", "red")},
    )
    yield stat_panel(
        PanelOptions(
            title="Workspaces read",
            description="The share of workspaces whose latest poll succeeded.",
            width=3,
            height=4,
            unit="percentunit",
            decimals=0,
            runbooks=("LinkedApiWorkspaceUnreadable",),
        ),
        f"avg({once(f'linkedapi_workspace_up{{{WORKSPACE}}}')})",
        steps=((None, "red"), (1, "green")),
    )
    yield stat_panel(
        PanelOptions(
            title="Oldest data",
            description="How long ago the account list of the worst workspace was last read.",
            width=3,
            height=4,
            unit="s",
            decimals=0,
            runbooks=("LinkedApiWorkspaceUnreadable",),
        ),
        f"max(time() - {once(LAST_READ)})",
        steps=((None, "green"), (300, "orange"), (900, "red")),
    )
    yield stat_panel(
        PanelOptions(
            title="Waiting",
            description="Notifications that have not been taken yet.",
            width=3,
            height=4,
            runbooks=("LinkedApiNotificationsStuck",),
        ),
        f"sum(linkedapi_notifications_pending{{{JOB}}})",
        steps=((None, "green"), (1, "orange")),
    )
    yield stat_panel(
        PanelOptions(
            title="Dead",
            description="Notifications that were given up, in the time shown.",
            width=3,
            height=4,
            decimals=0,
            runbooks=("LinkedApiNotificationsDead",),
        ),
        f'sum(increase(linkedapi_notifications_total{{{JOB}, outcome="dead"}}[$__range]))',
        steps=NONE_IS_GOOD,
    )
    yield table_panel(
        PanelOptions(
            title="Alerts that fire",
            description="By the rules in deploy/prometheus; the name of an alert leads to its"
            " runbook. Empty while none fires.",
            width=24,
            height=7,
        ),
        Query(
            "max by (alertname, severity, workspace, name, account_id, receiver)"
            ' (ALERTS{alertname=~"LinkedApi.*", alertstate="firing"})'
        ),
        columns=[
            Column(
                field="alertname",
                title="Alert",
                url=f"{RUNBOOKS}${{__value.raw}}.md",
            ),
            Column(
                field="severity",
                title="Severity",
                width=100,
                displays={"critical": ("", "red"), "warning": ("", "orange")},
            ),
            Column(field="workspace", title="Workspace", width=120),
            Column(field="name", title="Account", width=200),
            Column(field="account_id", title="Account id", width=290),
            Column(field="receiver", title="Receiver"),
        ],
        sort="Severity",
    )


def _polls() -> Iterator[Panel]:
    yield time_series_panel(
        PanelOptions(
            title="Polls a minute, by outcome",
            description="Polls that are left out (a rejected token, a used-up limit) are not"
            " counted.",
            width=8,
            runbooks=("LinkedApiPollsRateLimited", "LinkedApiWorkspaceUnreadable"),
        ),
        Query(
            f"sum by (outcome) (rate(linkedapi_polls_total{{{WORKSPACE}}}[$__rate_interval])) * 60",
            "{{outcome}}",
        ),
        displays=POLL_OUTCOME,
        stacked=True,
    )
    yield time_series_panel(
        PanelOptions(title="How long polls take", description=QUANTILES, width=8, unit="s"),
        *_quantiles(f"linkedapi_poll_duration_seconds_bucket{{{WORKSPACE}}}"),
    )
    yield time_series_panel(
        PanelOptions(
            title="Age of the data, by workspace",
            description="How long ago the account list was last read. The alert begins at the"
            " line.",
            width=8,
            unit="s",
            runbooks=("LinkedApiWorkspaceUnreadable",),
        ),
        Query(f"time() - max by (workspace) ({LAST_READ})", "{{workspace}}"),
        limits=AGE_LIMITS,
    )


def _requests() -> Iterator[Panel]:
    yield time_series_panel(
        PanelOptions(
            title="API budget: polls a minute, by workspace",
            description="Each token has 100 requests a minute (red); the monitor takes at most"
            " requests_per_minute of them (default 60, orange).",
            width=8,
            runbooks=("LinkedApiPollsRateLimited",),
        ),
        Query(
            "sum by (workspace) "
            f"(rate(linkedapi_polls_total{{{WORKSPACE}}}[$__rate_interval])) * 60",
            "{{workspace}}",
        ),
        limits=REQUEST_LIMITS,
    )
    yield time_series_panel(
        PanelOptions(
            title="Calls of Linked API a minute",
            description="By method, and those that failed; all workspaces together.",
            width=8,
        ),
        Query(
            f"sum by (method) (rate(linkedapi_api_requests_total{{{JOB}}}[$__rate_interval])) * 60",
            "{{method}}",
        ),
        Query(
            f'sum(rate(linkedapi_api_requests_total{{{JOB}, outcome!="ok"}}[$__rate_interval]))'
            " * 60",
            "failed",
        ),
        displays={"failed": ("", "red")},
    )
    yield time_series_panel(
        PanelOptions(
            title="How long calls take",
            description=f"{QUANTILES} All methods and workspaces together.",
            width=8,
            unit="s",
        ),
        *_quantiles(f"linkedapi_api_request_duration_seconds_bucket{{{JOB}}}"),
    )


def _outbox() -> Iterator[Panel]:
    yield time_series_panel(
        PanelOptions(
            title="Notifications that wait, by receiver",
            description="The outbox: what has not been taken yet.",
            width=6,
            runbooks=("LinkedApiReceiverFailing",),
        ),
        Query(f"sum by (receiver) (linkedapi_notifications_pending{{{JOB}}})", "{{receiver}}"),
    )
    yield time_series_panel(
        PanelOptions(
            title="How long the oldest waits, by receiver",
            description="Nothing while nothing waits. The alert begins at the line.",
            width=6,
            unit="s",
            runbooks=("LinkedApiNotificationsStuck",),
        ),
        Query(
            "time() - min by (receiver) "
            f"(linkedapi_oldest_pending_notification_timestamp_seconds{{{JOB}}})",
            "{{receiver}}",
        ),
        limits=AGE_LIMITS,
    )
    yield time_series_panel(
        PanelOptions(
            title="Receivers that fail, and are tried again in",
            description="Nothing while all work. A pause is as long as the failure, to 5 min.",
            width=6,
            unit="s",
            runbooks=("LinkedApiReceiverFailing",),
        ),
        Query(
            "max by (receiver) "
            f"(linkedapi_receiver_paused_until_timestamp_seconds{{{JOB}}}) - time()",
            "{{receiver}}",
        ),
    )
    yield time_series_panel(
        PanelOptions(
            title="How long messages take to be accepted",
            description=f"From the commit to the receiver's yes. {QUANTILES}",
            width=6,
            unit="s",
        ),
        *_quantiles(f"linkedapi_notification_latency_seconds_bucket{{{JOB}}}"),
    )
    yield table_panel(
        PanelOptions(
            title="Receivers",
            description="Notifications that came to an end and attempts, in the time shown.",
            width=12,
            decimals=0,
            runbooks=("LinkedApiReceiverFailing", "LinkedApiNotificationsDead"),
        ),
        *(Query(_notifications(outcome)) for outcome in ("delivered", "dead", "cancelled")),
        Query(_attempts(FAILED)),
        Query(f"{_attempts(FAILED)} / {_attempts()}"),
        columns=[
            Column(field="receiver", title="Receiver"),
            Column(field="type", title="Type", width=80),
            Column(field="Value #A", title="Delivered", width=90),
            Column(field="Value #B", title="Dead", width=70, steps=((None, "text"), (1, "red"))),
            Column(field="Value #C", title="Cancelled", width=90),
            Column(field="Value #D", title="Failed attempts", width=130),
            Column(
                field="Value #E",
                title="Failed",
                unit="percentunit",
                width=80,
                steps=((None, "green"), (0.1, "orange"), (0.5, "red")),
            ),
        ],
        sort="Failed",
        descending=True,
    )
    yield time_series_panel(
        PanelOptions(
            title="Attempts to deliver, by how they ended",
            description="A failed attempt is repeated until delivery.deadline.",
            width=12,
            runbooks=("LinkedApiReceiverFailing",),
        ),
        Query(
            "sum by (reason) "
            f"(increase(linkedapi_notification_attempts_total{{{JOB}}}[$__rate_interval]))",
            "{{reason}}",
        ),
        displays=OUTCOME,
        bars=True,
        stacked=True,
    )


def _process() -> Iterator[Panel]:
    yield time_series_panel(
        PanelOptions(
            title="Processor", description="The share of one core.", width=8, unit="percentunit"
        ),
        Query(f"rate(process_cpu_seconds_total{{{JOB}}}[$__rate_interval])", "{{instance}}"),
    )
    yield time_series_panel(
        PanelOptions(title="Memory", description="The resident memory.", width=8, unit="bytes"),
        Query(f"process_resident_memory_bytes{{{JOB}}}", "{{instance}}"),
    )
    yield time_series_panel(
        PanelOptions(
            title="Events nobody was told of",
            description="No route matched and there is no fallback: there should be none.",
            width=8,
            runbooks=("LinkedApiEventsUnrouted",),
        ),
        Query(
            f"sum(increase(linkedapi_events_unrouted_total{{{JOB}}}[$__rate_interval]))",
            "unrouted",
        ),
        displays={"unrouted": ("", "red")},
        bars=True,
    )
    yield time_series_panel(
        PanelOptions(
            title="How long work waits for the database",
            description="p95: 19 of 20 within. Those that write take turns: if they wait for"
            " seconds, the disk or the server is too slow.",
            width=8,
            unit="s",
        ),
        _slowest_by_kind("linkedapi_store_wait_seconds_bucket"),
    )
    yield time_series_panel(
        PanelOptions(
            title="How long transactions take",
            description="p95: 19 of 20 within, once it was their turn.",
            width=8,
            unit="s",
        ),
        _slowest_by_kind("linkedapi_store_transaction_duration_seconds_bucket"),
    )
    yield time_series_panel(
        PanelOptions(
            title="Workspaces held, by monitor",
            description="The monitors on one database share its workspaces; all that are"
            " configured should be held. One that waits for a SQLite file holds none.",
            width=8,
            decimals=0,
            runbooks=("LinkedApiWorkspacesNotHeld",),
        ),
        Query(f"linkedapi_workspaces_held{{{JOB}}}", "{{instance}}"),
        stacked=True,
    )


def _quantiles(bucket: str) -> Iterator[Query]:
    rate = f"sum by (le) (rate({bucket}[$__rate_interval]))"
    yield Query(f"histogram_quantile(0.5, {rate})", "p50")
    yield Query(f"histogram_quantile(0.95, {rate})", "p95")


def _slowest_by_kind(bucket: str) -> Query:
    rate = f"sum by (le, kind) (rate({bucket}{{{JOB}}}[$__rate_interval]))"
    return Query(f"histogram_quantile(0.95, {rate})", "p95 {{kind}}")


def _notifications(outcome: str) -> str:
    selector = f'linkedapi_notifications_total{{{JOB}, outcome="{outcome}"}}'
    return f"sum by (receiver, type) (increase({selector}[$__range]))"


def _attempts(more: str = "") -> str:
    metric = f"linkedapi_notification_attempts_total{{{JOB}{more}}}"
    return f"sum by (receiver, type) (increase({metric}[$__range]))"

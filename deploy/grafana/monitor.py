"""The dashboard of the monitor itself: whether it sees, how fast, and whether people hear of it."""

from collections.abc import Iterator
from typing import Final

from grafana_foundation_sdk.builders import dashboard as building

from .layout import CHOSEN, begun, finished, of_label, workspaces
from .panels import (
    CAUSE,
    ENDED,
    NONE_IS_GOOD,
    RUNBOOKS,
    Column,
    Frame,
    Panel,
    Query,
    lines,
    number,
    rows,
)

JOB: Final = 'job=~"$job"'
FAILED: Final = '{reason!="ok"}'
OUTCOMES: Final = {"ok": ("", "green"), **CAUSE}

LATE: Final = ((None, "transparent"), (900, "red"))
"""Where the alerts about old data and stuck notifications begin."""

BUDGET: Final = ((None, "transparent"), (60, "orange"), (100, "red"))
"""The monitor's default share of the requests a minute that each token has, and all of them."""


def dashboard() -> building.Dashboard:
    """Make it."""
    made = begun(
        "linkedapi-monitor",
        "Linked API: the monitor",
        "Whether the monitor sees all accounts, and whether people hear of what it sees.",
        [
            workspaces(),
            of_label("job", "Job", "linkedapi_monitor_build_info"),
        ],
    )
    panels = (*_present(), *_polls(), *_calls(), *_outbox(), *_process())
    return finished(made, panels)


def _present() -> Iterator[Panel]:
    yield number(
        Frame(title="Version", about="The version that runs.", width=3, height=4),
        f"max by (version) (linkedapi_monitor_build_info{{{JOB}}})",
        shows_name=True,
    )
    yield number(
        Frame(
            title="Running for",
            about="Since the latest start.",
            width=3,
            height=4,
            unit="s",
            decimals=1,
            runbooks=("LinkedApiMonitorDown", "LinkedApiMonitorAbsent"),
        ),
        f"time() - max(process_start_time_seconds{{{JOB}}})",
    )
    yield number(
        Frame(
            title="Restarts",
            about="In the time shown.",
            width=3,
            height=4,
            decimals=0,
            runbooks=("LinkedApiMonitorRestarting",),
        ),
        f"sum(changes(process_start_time_seconds{{{JOB}}}[$__range]))",
        steps=((None, "text"), (4, "red")),
    )
    yield number(
        Frame(
            title="Configuration",
            about="Whether the configuration was last loaded without a problem.",
            width=3,
            height=4,
            runbooks=("LinkedApiConfigReloadFailed",),
        ),
        f"min(linkedapi_monitor_config_last_reload_successful{{{JOB}}})",
        text={"1": ("loaded", "green"), "0": ("refused", "red")},
    )
    yield number(
        Frame(
            title="Workspaces read",
            about="The share of workspaces whose latest poll succeeded.",
            width=3,
            height=4,
            unit="percentunit",
            decimals=0,
            runbooks=("LinkedApiWorkspaceUnreadable",),
        ),
        f"avg(linkedapi_workspace_up{{{CHOSEN}}})",
        steps=((None, "red"), (1, "green")),
    )
    yield number(
        Frame(
            title="Oldest data",
            about="How long ago the account list of the worst workspace was last read.",
            width=3,
            height=4,
            unit="s",
            decimals=0,
            runbooks=("LinkedApiWorkspaceUnreadable",),
        ),
        f"max(time() - linkedapi_last_successful_poll_timestamp_seconds{{{CHOSEN}}})",
        steps=((None, "green"), (300, "orange"), (900, "red")),
    )
    yield number(
        Frame(
            title="Waiting",
            about="Notifications that have not been taken yet.",
            width=3,
            height=4,
            runbooks=("LinkedApiNotificationsStuck",),
        ),
        "sum(linkedapi_notifications_pending)",
        steps=((None, "green"), (1, "orange")),
    )
    yield number(
        Frame(
            title="Dead",
            about="Notifications that were given up, in the time shown.",
            width=3,
            height=4,
            decimals=0,
            runbooks=("LinkedApiNotificationsDead",),
        ),
        'sum(increase(linkedapi_notifications_total{outcome="dead"}[$__range]))',
        steps=NONE_IS_GOOD,
    )
    yield rows(
        Frame(
            title="Alerts that fire",
            about="By the rules in deploy/prometheus; the name of an alert leads to its runbook."
            " Empty while none fires.",
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
                text={"critical": ("", "red"), "warning": ("", "orange")},
            ),
            Column(field="workspace", title="Workspace", width=120),
            Column(field="name", title="Account", width=200),
            Column(field="account_id", title="Account id", width=290),
            Column(field="receiver", title="Receiver"),
        ],
        sort="Severity",
    )


def _polls() -> Iterator[Panel]:
    yield lines(
        Frame(
            title="Polls a minute, by outcome",
            about="Polls that are left out (a rejected token, a used-up limit) are not counted.",
            width=8,
            runbooks=("LinkedApiPollsRateLimited", "LinkedApiWorkspaceUnreadable"),
        ),
        Query(
            f"sum by (outcome) (rate(linkedapi_polls_total{{{CHOSEN}}}[$__rate_interval])) * 60",
            "{{outcome}}",
        ),
        colours=OUTCOMES,
        stacked=True,
    )
    yield lines(
        Frame(title="How long polls take", about="Half and 19 of 20 within.", width=8, unit="s"),
        *_quantiles(f"linkedapi_poll_duration_seconds_bucket{{{CHOSEN}}}"),
    )
    yield lines(
        Frame(
            title="Age of the data, by workspace",
            about="How long ago the account list was last read. The alert begins at the line.",
            width=8,
            unit="s",
            runbooks=("LinkedApiWorkspaceUnreadable",),
        ),
        Query(
            "time() - max by (workspace) "
            f"(linkedapi_last_successful_poll_timestamp_seconds{{{CHOSEN}}})",
            "{{workspace}}",
        ),
        limit=LATE,
    )


def _calls() -> Iterator[Panel]:
    yield lines(
        Frame(
            title="API budget: polls a minute, by workspace",
            about="Each token has 100 requests a minute (red); the monitor takes at most"
            " requests_per_minute of them (default 60, orange).",
            width=8,
            runbooks=("LinkedApiPollsRateLimited",),
        ),
        Query(
            f"sum by (workspace) (rate(linkedapi_polls_total{{{CHOSEN}}}[$__rate_interval])) * 60",
            "{{workspace}}",
        ),
        limit=BUDGET,
    )
    yield lines(
        Frame(
            title="Calls of Linked API a minute",
            about="By method, and those that failed; all workspaces together.",
            width=8,
        ),
        Query(
            "sum by (method) (rate(linkedapi_api_requests_total[$__rate_interval])) * 60",
            "{{method}}",
        ),
        Query(
            'sum(rate(linkedapi_api_requests_total{outcome!="ok"}[$__rate_interval])) * 60',
            "failed",
        ),
        colours={"failed": ("", "red")},
    )
    yield lines(
        Frame(
            title="How long calls take",
            about="Half and 19 of 20 within; all methods and workspaces together.",
            width=8,
            unit="s",
        ),
        *_quantiles("linkedapi_api_request_duration_seconds_bucket"),
    )


def _outbox() -> Iterator[Panel]:
    yield lines(
        Frame(
            title="Notifications that wait, by receiver",
            about="The outbox: what has not been taken yet.",
            width=8,
            runbooks=("LinkedApiReceiverFailing",),
        ),
        Query("sum by (receiver) (linkedapi_notifications_pending)", "{{receiver}}"),
    )
    yield lines(
        Frame(
            title="How long the oldest waits, by receiver",
            about="Nothing while nothing waits. The alert begins at the line.",
            width=8,
            unit="s",
            runbooks=("LinkedApiNotificationsStuck",),
        ),
        Query(
            "time() - min by (receiver) (linkedapi_oldest_pending_notification_timestamp_seconds)",
            "{{receiver}}",
        ),
        limit=LATE,
    )
    yield lines(
        Frame(
            title="How long messages take to be accepted",
            about="From the commit to the receiver's yes; half and 19 of 20 within.",
            width=8,
            unit="s",
        ),
        *_quantiles("linkedapi_notification_latency_seconds_bucket"),
    )
    yield rows(
        Frame(
            title="Receivers",
            about="Notifications that came to an end and attempts, in the time shown.",
            width=12,
            decimals=0,
            runbooks=("LinkedApiReceiverFailing", "LinkedApiNotificationsDead"),
        ),
        *(Query(_ended(outcome)) for outcome in ("delivered", "dead", "cancelled")),
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
        falling=True,
    )
    yield lines(
        Frame(
            title="Attempts to deliver, by how they ended",
            about="A failed attempt is repeated until delivery.deadline.",
            width=12,
            runbooks=("LinkedApiReceiverFailing",),
        ),
        Query(
            "sum by (reason) (increase(linkedapi_notification_attempts_total[$__rate_interval]))",
            "{{reason}}",
        ),
        colours=ENDED,
        bars=True,
        stacked=True,
    )


def _process() -> Iterator[Panel]:
    yield lines(
        Frame(title="Processor", about="The share of one core.", width=8, unit="percentunit"),
        Query(f"rate(process_cpu_seconds_total{{{JOB}}}[$__rate_interval])", "{{instance}}"),
    )
    yield lines(
        Frame(title="Memory", about="The resident memory.", width=8, unit="bytes"),
        Query(f"process_resident_memory_bytes{{{JOB}}}", "{{instance}}"),
    )
    yield lines(
        Frame(
            title="Events nobody was told of",
            about="No route matched and there is no fallback: there should be none.",
            width=8,
            runbooks=("LinkedApiEventsUnrouted",),
        ),
        Query("sum(increase(linkedapi_events_unrouted_total[$__rate_interval]))", "unrouted"),
        colours={"unrouted": ("", "red")},
        bars=True,
    )


def _quantiles(bucket: str) -> Iterator[Query]:
    rate = f"sum by (le) (rate({bucket}[$__rate_interval]))"
    yield Query(f"histogram_quantile(0.5, {rate})", "half")
    yield Query(f"histogram_quantile(0.95, {rate})", "19 of 20")


def _ended(outcome: str) -> str:
    selector = f'linkedapi_notifications_total{{outcome="{outcome}"}}'
    return f"sum by (receiver, type) (increase({selector}[$__range]))"


def _attempts(selector: str = "") -> str:
    metric = f"linkedapi_notification_attempts_total{selector}"
    return f"sum by (receiver, type) (increase({metric}[$__range]))"

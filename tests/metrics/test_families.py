import shutil
import subprocess

import pytest

from monitor.metrics.families import FAMILIES

CONTRACT = {
    "linkedapi_account_status": {"workspace", "account_id", "status"},
    "linkedapi_account_info": {"workspace", "account_id", "name", "country"},
    "linkedapi_account_status_since_timestamp_seconds": {"workspace", "account_id"},
    "linkedapi_accounts": {"workspace", "status"},
    "linkedapi_account_transitions_total": {"workspace", "from", "to"},
    "linkedapi_workspace_up": {"workspace"},
    "linkedapi_last_successful_poll_timestamp_seconds": {"workspace"},
    "linkedapi_polls_total": {"workspace", "outcome"},
    "linkedapi_poll_duration_seconds": {"workspace"},
    "linkedapi_api_requests_total": {"method", "outcome"},
    "linkedapi_api_request_duration_seconds": {"method"},
    "linkedapi_incidents_open": {"workspace", "cause"},
    "linkedapi_incidents_total": {"workspace", "cause", "event"},
    "linkedapi_recovery_seconds": {"phase"},
    "linkedapi_reconnection_sessions_created_total": {"workspace", "outcome"},
    "linkedapi_notifications_total": {"receiver", "type", "event", "outcome"},
    "linkedapi_notification_attempts_total": {"receiver", "type", "reason"},
    "linkedapi_notification_latency_seconds": {"type"},
    "linkedapi_notifications_pending": {"receiver"},
    "linkedapi_oldest_pending_notification_timestamp_seconds": {"receiver"},
    "linkedapi_events_unrouted_total": set(),
    "linkedapi_monitor_build_info": {"version"},
    "linkedapi_monitor_config_last_reload_successful": set(),
}
SUFFIXES = {"", "_bucket", "_sum", "_count"}


def test_the_names_and_labels_are_the_contract(metrics):
    metrics.fill()

    shown = {
        family.name + ("_total" if family.type == "counter" else ""): labels_of(family)
        for family in metrics.parsed()
        if "linkedapi" in family.name
    }
    assert shown == {family.name: set(family.labels) for family in FAMILIES} == CONTRACT


def labels_of(family):
    return set().union(*(sample.labels for sample in family.samples)) - {"le"}


def test_each_metric_is_one_group_with_one_help_and_type(metrics):
    metrics.declare(workspaces=["acme", "beta"], receivers={})
    metrics.fill()
    groups = []

    for line in metrics.render().decode().splitlines():
        name = line.split()[2] if line.startswith("#") else line.partition("{")[0].split()[0]
        base = next((n for n in CONTRACT if name.removeprefix(n) in SUFFIXES), name)
        if not groups or groups[-1] != base:
            groups.append(base)

    ours = [name for name in groups if "linkedapi" in name]
    assert sorted(ours) == sorted(CONTRACT)


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not installed")
def test_promtool_has_nothing_to_say(metrics):
    metrics.fill()

    checked = subprocess.run(
        ["promtool", "check", "metrics"], input=metrics.render(), capture_output=True, check=False
    )

    assert (checked.returncode, checked.stdout + checked.stderr) == (0, b"")


@pytest.mark.parametrize(
    "series",
    [
        'linkedapi_polls_total{workspace="acme",outcome="token_rejected"}',
        'linkedapi_poll_duration_seconds_count{workspace="acme"}',
        'linkedapi_accounts{workspace="acme",status="frozen"}',
        'linkedapi_workspace_up{workspace="acme"}',
        'linkedapi_incidents_open{workspace="acme",cause="unreachable"}',
        'linkedapi_incidents_total{workspace="acme",cause="frozen",event="opened"}',
        'linkedapi_account_transitions_total{workspace="acme",from="active",to="frozen"}',
        'linkedapi_reconnection_sessions_created_total{workspace="acme",outcome="limited"}',
        'linkedapi_api_requests_total{method="accounts.getAll",outcome="timeout"}',
        'linkedapi_notifications_pending{receiver="ops"}',
        'linkedapi_notifications_total{receiver="ops",type="slack",event="opened",outcome="dead"}',
        'linkedapi_notification_attempts_total{receiver="ops",type="slack",reason="auth"}',
        'linkedapi_notification_latency_seconds_count{type="slack"}',
        'linkedapi_recovery_seconds_count{phase="active"}',
        "linkedapi_events_unrouted_total",
    ],
)
def test_known_series_start_at_zero(metrics, series):
    assert f"{series} 0" in metrics.render().decode().splitlines()

import re
import shutil
import subprocess

import pytest

from monitor.metrics.families import FAMILIES

NAMES = {family.name for family in FAMILIES}


def test_the_names_and_labels_are_those_declared(metrics):
    metrics.fill()

    shown = {
        family.name + ("_total" if family.type == "counter" else ""): labels_of(family)
        for family in metrics.parsed()
    }
    assert shown == {family.name: set(family.labels) for family in FAMILIES}


def labels_of(family):
    return set().union(*(sample.labels for sample in family.samples)) - {"le"}


def test_each_metric_is_one_group_with_one_help_and_type(metrics):
    metrics.declare(workspaces=["acme", "beta"], receivers={})
    metrics.fill()
    groups = []

    for line in metrics.render().decode().splitlines():
        name = line.split()[2] if line.startswith("#") else line.partition("{")[0].split()[0]
        base = name if name in NAMES else re.sub("_(bucket|sum|count)$", "", name)
        if base in NAMES and groups[-1:] != [base]:
            groups.append(base)

    assert sorted(groups) == sorted(NAMES)


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not installed")
def test_promtool_finds_no_problem(metrics):
    metrics.fill()

    checked = subprocess.run(
        ["promtool", "check", "metrics"], input=metrics.render(), capture_output=True, check=False
    )

    assert (checked.returncode, checked.stdout + checked.stderr) == (0, b"")


def test_known_series_start_at_zero(metrics):
    series = {
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
    }
    zeros = {line.removesuffix(" 0") for line in metrics.render().decode().splitlines()}
    assert series - zeros == set()

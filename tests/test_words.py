"""A new status or cause of an incident is known wherever statuses and causes are listed."""

from pathlib import Path

import pytest

from deploy.grafana import panels
from monitor.cli.output import EXIT_BY_CAUSE, EXIT_BY_STATUS
from monitor.core.model import BLIND_CAUSES, Cause, Scope, Status
from monitor.core.plan import SEVERITY
from monitor.source import decode

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    "listed", [EXIT_BY_STATUS, decode._WORST_LAST, panels.STATUS], ids=["cli", "source", "grafana"]
)
def test_every_status_is_listed(listed):
    assert set(listed) == set(Status)


@pytest.mark.parametrize("listed", [set(SEVERITY) - {None}, panels.CAUSE], ids=["route", "grafana"])
def test_every_cause_is_listed(listed):
    assert set(listed) == set(Cause)


def test_every_reason_for_no_list_has_an_exit_code():
    assert set(EXIT_BY_CAUSE) == {*BLIND_CAUSES, Cause.SUBSCRIPTION}


def test_a_cause_is_that_of_a_workspace_or_of_an_account_that_is_in_a_bad_state():
    of_accounts = {cause for cause in Cause if cause.scope is Scope.ACCOUNT}

    assert of_accounts == {*map(Cause, set(Status) - {Status.ACTIVE}), Cause.FLAPPING}


@pytest.mark.parametrize("status", Status)
def test_every_status_may_be_stored(status):
    assert f"'{status}'" in (ROOT / "monitor/store/schema.sql").read_text(encoding="utf-8")


@pytest.mark.parametrize("status", [status for status in Status if status != "active"])
def test_every_status_but_active_is_the_cause_of_the_same_name(status):
    assert Cause(status) not in BLIND_CAUSES

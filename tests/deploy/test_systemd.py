"""The unit of systemd: well formed and hardened, as systemd-analyze sees it."""

import re
import sys
from pathlib import Path

import pytest

MAX_EXPOSURE = 2.0
"""On the scale of systemd-analyze, where 10 is a service that may do anything."""


@pytest.fixture
def unit(deploy, tmp_path):
    """The unit, starting the program of this environment: systemd looks whether it is there."""
    text = (deploy / "systemd" / "linkedapi-monitor.service").read_text()
    file = tmp_path / "linkedapi-monitor.service"
    file.write_text(text.replace("/opt/linkedapi-monitor/bin", str(Path(sys.executable).parent)))
    return file


def test_systemd_analyze_accepts_the_unit(unit, run_tool):
    assert run_tool("systemd-analyze", "verify", "--man=no", unit) == (0, "")


def test_the_unit_may_do_next_to_nothing(unit, run_tool):
    code, output = run_tool("systemd-analyze", "security", "--offline=true", unit)
    exposure = re.search(r"Overall exposure level for \S+: ([\d.]+)", output)
    assert (code, exposure and float(exposure[1]) <= MAX_EXPOSURE) == (0, True), output


def test_a_reload_checks_the_file_that_the_service_runs_with_before_it_is_told(deploy):
    text = (deploy / "systemd" / "linkedapi-monitor.service").read_text()
    (program, file) = re.search(
        r"^ExecStart=(\S+) run --config (\S+)$", text, re.MULTILINE
    ).groups()
    check, tell = re.findall(r"^ExecReload=(.*)$", text, re.MULTILINE)

    assert check.endswith(f" {program} config check --config {file}")
    assert tell == "kill -HUP $MAINPID"

"""The unit of systemd: well formed, and hardened; systemd itself is the judge."""

import re
import shutil
import sys
from pathlib import Path

import pytest

MOST_EXPOSED = 2.0
"""On the scale of systemd-analyze, where 10 is a service that may do anything."""

pytestmark = pytest.mark.skipif(
    not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed"
)


@pytest.fixture
def unit(deploy, tmp_path):
    """The unit, starting the program of this environment: systemd looks whether it is there."""
    text = (deploy / "systemd" / "linkedapi-monitor.service").read_text()
    file = tmp_path / "linkedapi-monitor.service"
    file.write_text(text.replace("/opt/linkedapi-monitor/bin", str(Path(sys.executable).parent)))
    return file


def test_systemd_has_nothing_to_say_of_the_unit(unit, said_by):
    assert said_by("systemd-analyze", "verify", "--man=no", unit) == (0, "")


def test_the_unit_may_do_next_to_nothing(unit, said_by):
    code, said = said_by("systemd-analyze", "security", "--offline=true", unit)
    exposure = re.search(r"Overall exposure level for \S+: ([\d.]+)", said)
    assert (code, exposure and float(exposure[1]) <= MOST_EXPOSED) == (0, True), said

import shutil
import subprocess

import pytest
from harness.metrics import page_of
from harness.snapshots import TextFile


def test_a_workspace_and_a_receiver_of_which_nothing_is_known_start_at_zero(metrics, snapshot):
    metrics.declare(workspaces=["acme", "beta"], receivers={"ops": "slack", "crm": "webhook"})
    metrics.fill()  # of acme and ops

    ours = [line for line in page_of(metrics).splitlines() if "linkedapi" in line]

    assert "\n".join(ours) == snapshot(extension_class=TextFile)


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not installed")
def test_promtool_finds_no_problem(metrics):
    metrics.fill()

    checked = subprocess.run(
        ["promtool", "check", "metrics"],
        input=page_of(metrics).encode(),
        capture_output=True,
        check=False,
    )

    assert (checked.returncode, checked.stdout + checked.stderr) == (0, b"")

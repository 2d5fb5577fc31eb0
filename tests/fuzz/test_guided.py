"""The fuzzer that is guided by coverage, for FUZZ_SECONDS (15) a target."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SECONDS = int(os.environ.get("FUZZ_SECONDS", "15"))


@pytest.mark.slow
@pytest.mark.parametrize("target", ["answers", "configs"])
def test_no_input_breaks_what_holds(target, tmp_path):
    if find_spec("atheris") is None:
        pytest.skip("atheris is not installed")
    paths = [str(HERE.parents[1]), str(HERE.parent)]
    environment = {key: value for key, value in os.environ.items() if "COVERAGE" not in key}

    ended = subprocess.run(
        [sys.executable, str(HERE / "run.py"), target, str(SECONDS), str(tmp_path)],
        env=environment | {"PYTHONPATH": os.pathsep.join(paths)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=SECONDS + 120,
        check=False,
    )

    output = ended.stdout.decode("utf-8", "replace")
    assert ended.returncode == 0, output[-4000:]
    assert "number_of_executed_units" in output

"""Odd surroundings of a start: 40, or as many as FUZZ_SURROUNDINGS says."""

import json
import os
import subprocess
import sys
from pathlib import Path

COUNT = int(os.environ.get("FUZZ_SURROUNDINGS", "40"))
SEED = int(os.environ.get("FUZZ_SEED", "1"))


def test_every_start_ends_in_a_clear_line_and_the_right_exit_code():
    file = Path(__file__).with_name("surroundings.py")
    environment = {key: value for key, value in os.environ.items() if "COVERAGE" not in key}

    ended = subprocess.run(
        [sys.executable, str(file), str(COUNT), str(SEED)],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=120 + 10 * COUNT,
        check=False,
    )

    assert (ended.returncode, ended.stderr.decode()) == (0, "")
    failures = [json.loads(line) for line in ended.stdout.splitlines()]
    assert failures == []

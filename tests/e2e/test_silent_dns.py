"""A name server that is silent delays nothing but what needs names."""

import json
import os
import sys

import pytest
from harness.program import running
from harness.silent_dns import UNSHARE, is_allowed


async def test_look_ups_that_hang_hold_up_neither_a_mail_nor_a_scrape_nor_the_end(tmp_path):
    if not (os.environ.get("CI") or is_allowed()):
        pytest.skip("this system allows no network namespace")
    command = (*UNSHARE, sys.executable, "-m", "harness.silent_dns", str(tmp_path))
    env = {"PYTHONPATH": os.pathsep.join(sys.path)}
    async with running(*command, log=tmp_path / "measured.log", env=env) as measuring:
        assert await measuring.ended(within=120) == 0, measuring.output()

    measured = json.loads(measuring.output().splitlines()[-1])
    assert measured["code"] == 0
    assert measured["by name"] == 0
    assert measured["mail"] < 20  # and 90 s while DNS is asked for a name of this host
    assert measured["metrics"] < 15  # 20 s and more while threads are shared with look-ups,
    assert measured["stop"] < 20  # and 90 s while they are waited for

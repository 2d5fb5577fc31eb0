"""The process's own clock, ids and signals."""

import asyncio
import gc
import os
import resource
import signal

import pytest
from harness.program import until

from monitor.app import process
from monitor.core.errors import SetupError


def test_the_clock_counts_microseconds_and_each_id_is_another(tmp_path):
    (tmp_path / "file").touch()

    assert abs(process.now() / 1_000_000 - (tmp_path / "file").stat().st_mtime) < 60
    assert process.new_id() != process.new_id()


def test_a_user_without_a_name_is_a_number(monkeypatch):
    def no_name():
        raise KeyError("getpwuid(): uid not found: 65532")

    assert process.user()
    monkeypatch.setattr("getpass.getuser", no_name)
    assert process.user() == f"uid {os.getuid()}"


def test_a_users_name_is_one_line(monkeypatch):
    monkeypatch.setattr("getpass.getuser", lambda: "ops\x1b[31m\nroot")

    assert process.user() == "ops [31m root"


def test_no_garbage_is_looked_for_while_many_polls_are_under_way():
    before = gc.get_threshold()
    process.collect_seldom()
    try:
        gc.collect()
        looks = gc.get_stats()[0]["collections"]
        under_way = [[] for _ in range(10_000)]
        assert gc.get_stats()[0]["collections"] == looks
    finally:
        gc.set_threshold(*before)
    assert len(under_way) == 10_000


def test_too_few_files_are_an_error_that_says_how_many_are_needed():
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    process.check_limits()
    resource.setrlimit(resource.RLIMIT_NOFILE, (63, before[1]))
    try:
        with pytest.raises(SetupError, match=r"only 63 files .* raise the limit to 64 or more"):
            process.check_limits()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


async def test_signals_stop_and_reload_and_one_that_comes_too_early_is_ignored():
    calls = []
    process.ignore_reloads()
    try:
        os.kill(os.getpid(), signal.SIGHUP)
        process.stop_on_signals(lambda: calls.append("stop"))
        process.reload_on_signal(lambda: calls.append("reload"))

        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            os.kill(os.getpid(), number)
        await until(lambda: len(calls) == 3)
    finally:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            asyncio.get_running_loop().remove_signal_handler(number)

    assert sorted(calls) == ["reload", "stop", "stop"]

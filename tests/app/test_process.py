"""The process's own clock, ids and signals."""

import asyncio
import os
import signal

from harness.program import until

from monitor.app import process


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

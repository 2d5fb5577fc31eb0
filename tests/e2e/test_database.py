"""The real program and a file that fails: one clear line, no false alert, and it recovers."""

import asyncio
import os
import resource
import sqlite3
from shutil import which

import pytest
from harness.program import answers
from harness.running_monitor import install, refused_start, simulated

from monitor.store.db import Store

NO_RIGHTS = ("setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override")
"""Takes from root what lets it write anywhere."""


@pytest.fixture
def file(tmp_path):
    """A database that a monitor has made, in a folder of its own."""
    (tmp_path / "data").mkdir()
    file = tmp_path / "data/monitor.db"
    Store.open(f"sqlite:///{file}").close()
    yield file
    file.parent.chmod(0o700)


@pytest.fixture
def through():
    """What the program is run through, so that it may write only what anybody may."""
    if os.geteuid() != 0:
        return ()
    if which("setpriv") is None:
        pytest.skip("setpriv is not installed, and root may write anything")
    return NO_RIGHTS


def lock(file, _pid=None):
    """Let another program keep it locked; return what ends that."""
    program = sqlite3.connect(file, isolation_level=None)
    program.execute("BEGIN IMMEDIATE")
    return program.close


BROKEN = {
    "may not be written": (
        lambda file: file.chmod(0o400),
        "Permission denied; name a writable file in storage.url",
    ),
    "lies where nothing may be written": (
        lambda file: file.parent.chmod(0o500),
        "make the file and its folder writable for the user that",
    ),
    "is locked": (lock, "database is locked; another program has been writing to it for long"),
}


@pytest.mark.parametrize(("breaking", "words"), BROKEN.values(), ids=BROKEN)
async def test_a_file_that_cannot_be_used_ends_the_start_with_one_clear_line(
    tmp_path, file, through, breaking, words
):
    mend = breaking(file)

    assert words in await refused_start(tmp_path, f"sqlite:///{file}", through=through)

    if mend:
        mend()


ROOM = 8 * 1024
"""What a file may have on the disk that is full: enough for a log, too little for two pages."""


def fill_disk(_file, pid):
    """Let no file of the program grow any more, as on a full disk."""
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (ROOM, before[1]))
    return lambda: resource.prlimit(pid, resource.RLIMIT_FSIZE, before)


def move_away(file, _pid):
    """Let the file be somewhere else; return what puts it back."""
    away = file.with_name("away")
    file.rename(away)
    return lambda: away.rename(file)


async def test_a_file_that_fails_under_the_monitor_loses_nothing_and_alerts_nobody(tmp_path):
    async with asyncio.TaskGroup() as at_once:  # they do little but wait for the database
        for breaking in (lock, fill_disk, move_away):
            folder = tmp_path / breaking.__name__
            folder.mkdir()
            at_once.create_task(fail_under_the_monitor(folder, breaking), name=breaking.__name__)


async def fail_under_the_monitor(folder, breaking):
    file = folder / "monitor.db"
    async with install(folder, simulated(), storage=f"sqlite:///{file}") as installation:
        hook, endpoint = installation.hook, installation.endpoint
        async with installation.run() as monitor:
            await monitor.until_logged("first look")
            mend = breaking(file, monitor.process.pid)
            installation.simulator.sign_out("acme", "*")
            await answers(f"{endpoint}/readyz", status=503)
            await answers(f"{endpoint}/healthz")  # a restart would not help
            await monitor.until_logged("cycle failed")
            await asyncio.sleep(2)  # and fails again
            assert hook.events == hook.slack == []
            mend()

            await answers(f"{endpoint}/readyz")
            await hook.wait(lambda: len(hook.events) == len(hook.slack) == 2)
            assert await monitor.stop() == 0

    failed = [line["error"] for line in monitor.lines() if line["event"] == "cycle failed"]
    assert len(failed) == len(set(failed)), "what fails is logged once, not at every cycle"
    assert "cycles work again" in monitor.output()
    assert "failed unexpectedly" not in monitor.output()

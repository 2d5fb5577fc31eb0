"""The command `backup`."""

import asyncio
import os
import shlex
import signal
import sqlite3
import stat
import sys
from contextlib import closing

import pytest
from harness.program import program, until

from monitor.store import backup

PADDING = 32 * 1024 * 1024
"""Bytes that take a backup long enough to be stopped within."""


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "backups"
    folder.mkdir(mode=0o700)
    return folder


@pytest.mark.usefixtures("recorded")
def test_a_backup_is_made_and_what_is_in_it_is_shown(run, configured, folder):
    made = run("backup", f"{folder}/b.db", "-c", configured()).data

    assert stat.S_IMODE((folder / "b.db").stat().st_mode) == 0o600
    assert made["file"] == f"{folder}/b.db"
    assert made["size_bytes"] == (folder / "b.db").stat().st_size
    assert made["rows"]["account"] == 3
    again = run("backup", f"{folder}/b.db", "-c", configured())
    assert (again.code, again.out) == (1, "")
    assert "is there already" in again.err


@pytest.mark.usefixtures("recorded")
def test_as_a_table_it_is_one_line(run, configured, folder):
    (shown,) = run("backup", "--table", f"{folder}/b.db", "-c", configured()).out.splitlines()

    assert shown.startswith(f"{folder}/b.db: 0.")
    assert shown.endswith(" s, verified: 1 workspace, 3 accounts, 2 incidents, 2 messages")


@pytest.mark.usefixtures("recorded")
def test_it_is_one_line_whatever_the_name_of_the_file(run, configured, folder):
    (shown,) = run(
        "backup", "--table", f"{folder}/a\n\x1b[31m", "-c", configured()
    ).out.splitlines()

    assert "\x1b" not in shown


@pytest.mark.slow
@pytest.mark.usefixtures("recorded")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
async def test_a_backup_that_is_ended_leaves_nothing(configured, folder, number):
    file = configured()
    database = folder.with_name("monitor.db")
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("CREATE TABLE padding (value)")
        connection.execute(f"INSERT INTO padding VALUES (zeroblob({PADDING}))")
    log = folder.with_name("log")
    async with program("backup", f"{folder}/b.db", "-c", file, log=log) as making:
        await until(lambda: any(folder.iterdir()))
        making.process.send_signal(number)
        code = await making.ended()

    if number == signal.SIGKILL:
        assert not (folder / "b.db").exists()
        assert len(list(folder.iterdir())) == 1, "nobody was left to remove it"
        backup.make(f"sqlite:///{database}", folder / "c.db")
        assert list(folder.iterdir()) == [folder / "c.db"]
    else:
        assert code == 128 + number
        assert list(folder.iterdir()) == []
        assert log.read_text() == ""


@pytest.mark.slow
@pytest.mark.usefixtures("recorded")
async def test_a_backup_that_has_no_room_leaves_nothing_and_says_so(configured, folder):
    command = [sys.executable, "-m", "monitor", "backup", f"{folder}/b.db", "-c", configured()]
    script = f"ulimit -f 100; exec {shlex.join(command)}"
    env = dict(os.environ)
    env.pop("COVERAGE_PROCESS_CONFIG", None)  # there is no room for what is measured, either
    process = await asyncio.create_subprocess_exec(
        "sh", "-c", script, stderr=asyncio.subprocess.PIPE, env=env
    )
    _, error = await process.communicate()

    assert process.returncode == 1
    assert b"limit on the size of files" in error
    assert error.count(b"\n") == 1
    assert list(folder.iterdir()) == []

"""`reload: watch`: what counts as another configuration, and what as none yet."""

import asyncio
import os
import threading
from functools import partial

import pytest
import structlog
from harness.core import listed_account
from harness.faults import failing_writes
from harness.program import until
from harness.running_app import HERE, events, running

from monitor import config
from monitor.app import config_watch
from monitor.app.config_watch import ConfigWatch
from monitor.app.reload import KEPT
from monitor.core.duration import Duration
from monitor.files import FileContents

LIMIT = 100


class WatchHarness:
    """A watch over one file, on a clock of its own."""

    def __init__(self, file):
        self.file = file
        self.seconds = 0.0
        self.watch = ConfigWatch(lambda: self.seconds)
        self.load()

    def load(self):
        self.loaded = FileContents()
        self.loaded.read(self.file, LIMIT)

    async def look(self, *, after):
        self.seconds += after
        return await self.watch.has_changed(self.loaded)


@pytest.fixture
def watched(tmp_path):
    (tmp_path / "v1").mkdir()
    (tmp_path / "v1" / "file").write_text("before")
    (tmp_path / "data").symlink_to("v1")
    return WatchHarness(tmp_path / "data" / "file")


async def test_what_differs_twice_is_a_change_and_no_longer_one_once_it_is_loaded(watched):
    watched.file.write_text("after")

    assert not await watched.look(after=9.9)
    assert not await watched.look(after=0.1)
    assert watched.watch.due_in() == 1
    assert not await watched.look(after=0.9)
    assert await watched.look(after=0.1)
    watched.load()
    assert not await watched.look(after=10)
    assert watched.watch.due_in() == 10


async def test_what_is_to_be_tried_again_is_looked_at_every_now_and_then(watched):
    watched.file.write_text("after")
    await watched.look(after=10)
    assert await watched.look(after=1)

    assert watched.watch.due_in() == 10
    assert await watched.look(after=10)


async def test_what_is_still_being_written_is_no_change_yet(watched):
    for part in ("a", "af", "aft"):
        watched.file.write_text(part)
        assert not await watched.look(after=10)

    watched.file.write_text("after")
    assert not await watched.look(after=1)
    assert await watched.look(after=1)


def rewritten(file):
    file.write_text("before")


def touched(file):
    os.utime(file, (1, 1))


def replaced(file):
    (file.parent / "new").write_text("before")
    (file.parent / "new").rename(file)


@pytest.mark.parametrize("do", [rewritten, touched, replaced])
async def test_the_same_content_is_no_change_however_it_got_there(watched, do):
    do(watched.file)

    assert [await watched.look(after=10) for _ in range(3)] == [False] * 3


def turned_to_another_folder(file):
    link = file.parent
    (link.parent / "v2").mkdir()
    (link.parent / "v2" / "file").write_text("after")
    (link.parent / "new").symlink_to("v2")
    (link.parent / "new").rename(link)


def removed(file):
    file.unlink()


@pytest.mark.parametrize("do", [turned_to_another_folder, removed])
async def test_another_file_and_none_are_changes(watched, do):
    do(watched.file)

    assert [await watched.look(after=10) for _ in range(2)] == [False, True]


async def test_a_disk_that_hangs_is_waited_for_by_one_thread_and_holds_nobody_up(
    watched, monkeypatch
):
    monkeypatch.setattr(config_watch, "READ_TIMEOUT", Duration.parse("20ms"))
    answer, count = threading.Event(), []

    class Hanging(FileContents):
        def read_again(self):
            count.append(1)
            answer.wait(20)
            return super().read_again()

    watched.loaded = Hanging(watched.loaded)
    watched.file.write_text("after")
    with structlog.testing.capture_logs() as logs:
        looks = [await watched.look(after=10) for _ in range(3)]
    assert (looks, len(count)) == ([False] * 3, 1)
    assert events(logs) == ["the files of the configuration can't be read: their disk hangs"]

    answer.set()
    monkeypatch.setattr(config_watch, "READ_TIMEOUT", Duration.parse("10s"))
    assert [await watched.look(after=10) for _ in range(2)] == [False, True]
    assert len(count) == 2, "nothing has piled up"


# ── in the monitor ───────────────────────────────────────────────────────────────────────────────

WATCH = f"{HERE}\nreload: watch"


@pytest.fixture
def looks(monkeypatch):
    """Let the monitor look at its files all the time; how often it has done so."""
    monkeypatch.setattr(config_watch, "WATCH_EVERY", Duration.parse("50ms"))
    monkeypatch.setattr(config_watch, "SETTLE", Duration.parse("20ms"))
    has_changed, count = ConfigWatch.has_changed, []

    async def counted(watch, loaded):
        count.append(loaded)
        return await has_changed(watch, loaded)

    monkeypatch.setattr(ConfigWatch, "has_changed", counted)
    return count


@pytest.fixture
def run(harness, looks):  # noqa: ARG001 - for its own sake
    """Runs a monitor of some workspaces."""
    file = harness.folder / "config.yaml"

    def runs(*names, more):
        return running(harness.load(*names, more=more), load=partial(config.load, file, {}))

    return runs


def watches(monitor, *names):
    return lambda: monitor._workers.workspaces.keys() == set(names)


async def test_another_content_is_applied_and_a_wrong_one_is_said_once(harness, run, looks):
    file = harness.folder / "config.yaml"
    async with run("acme", more=WATCH) as monitor:
        await until(watches(monitor, "acme"))
        harness.load("acme", "beta", more=WATCH)
        await until(watches(monitor, "acme", "beta"))

        right = file.read_text()
        with structlog.testing.capture_logs() as logs:
            file.write_text(f"{right}\npol: {{}}\n")
            await until(lambda: KEPT in events(logs))
            looks.clear()
            await until(lambda: len(looks) > 3)
            assert events(logs).count(KEPT) == 1
            file.write_text(right.replace("beta", "gamma"))
            await until(watches(monitor, "acme", "gamma"))
            await until(lambda: "configuration reloaded" in events(logs))

    assert events(logs).count(KEPT) == 1


async def test_without_watch_nothing_is_read_before_a_signal(harness, run, looks):
    async with run("acme", more=HERE) as monitor:
        await until(watches(monitor, "acme"))
        harness.load("acme", "beta", more=WATCH)
        await asyncio.sleep(0.2)
        assert (watches(monitor, "acme")(), looks) == (True, [])

        monitor.reload()
        await until(watches(monitor, "acme", "beta"))
        await until(lambda: looks)


async def test_the_files_of_accounts_and_secrets_are_watched_but_no_token(harness, run):
    (harness.folder / "owners.csv").write_text("id,owner\na-1,jane\n")
    more = f"{WATCH}\naccounts_file: owners.csv\n"
    async with run("acme", more=more) as monitor:
        await until(watches(monitor, "acme"))
        (harness.folder / "owners.csv").write_text("id,owner\na-1,john\n")
        await until(lambda: owner(monitor) == {"owner": "john"})

    token = harness.folder / "token"
    token.write_text("linked_acme")
    (harness.folder / "hook").write_text(harness.hook_url)
    loaded = harness.load(
        "acme",
        beta={"token": None, "token_file": str(token)},
        more=f"{more}receivers: [{{name: a, type: slack, url_file: hook}}]",
    )
    names = {path.name for path, _ in loaded.findings.contents}
    assert names == {"config.yaml", "owners.csv", "hook"}


def owner(monitor):
    return monitor._components.routing.inventory.labels("acme", listed_account("a-1"))


async def test_a_content_is_applied_once_the_database_is_back(harness, run):
    async with run("acme", more=WATCH) as monitor:
        await until(watches(monitor, "acme"))
        with structlog.testing.capture_logs() as logs, failing_writes(monitor._store, "workspace"):
            harness.load("acme", "beta", more=WATCH)
            await until(lambda: KEPT in events(logs))

        await until(watches(monitor, "acme", "beta"))


# ── the secret of a receiver ─────────────────────────────────────────────────────────────────────


async def test_a_secret_is_read_again_after_it_was_refused_and_nothing_else_is(harness, run):
    url = harness.folder / "url"
    url.write_text(f"{harness.hook_url}/wrong")
    more = f"{HERE}\nreceivers: [{{name: chat, type: slack, url_file: url}}]"
    async with run("acme", more=more) as monitor:
        await until(watches(monitor, "acme"))
        harness.load("acme", "beta", more=more)
        url.write_text(f"{harness.hook_url}/slack\n")
        harness.simulator.sign_out("acme", "*")
        monitor._workers.wake_workspace("acme")

        await harness.hook.wait(lambda: harness.hook.slack)

        assert harness.hook.paths() == {"/wrong", "/slack"}
        assert watches(monitor, "acme")()

"""The command `store copy`."""

import sqlite3
from contextlib import closing

import pytest
from harness import postgresql
from harness.program import program
from harness.running_monitor import install, simulated
from sqlalchemy.engine import make_url


@pytest.fixture
def other(tmp_path):
    return f"sqlite:///{tmp_path}/other.db"


@pytest.mark.usefixtures("recorded")
@pytest.mark.parametrize("place", ["env:NEW_DATABASE", "sqlite:///{}/other.db"])
def test_a_database_is_copied_from_a_configuration_to_an_address(
    run, configured, tmp_path, monkeypatch, place
):
    other = f"sqlite:///{tmp_path}/other.db"
    monkeypatch.setenv("NEW_DATABASE", other)

    copied = run("store", "copy", configured(), place.format(tmp_path)).data

    assert (copied["from"], copied["to"]) == (f"{tmp_path}/monitor.db", f"{tmp_path}/other.db")
    assert copied["rows"]["account"] == 3
    for url in (other, f"sqlite:///{tmp_path}/monitor.db"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
            assert connection.execute("SELECT count(*) FROM incident").fetchone() == (2,)


@pytest.mark.usefixtures("recorded")
def test_on_a_terminal_it_is_one_line(on_a_terminal, configured, other):
    code, shown = on_a_terminal("store", "copy", configured(), other)

    assert code == 0
    assert " ".join(shown.split()).endswith(" s: 1 workspace, 3 accounts, 2 incidents, 2 messages")


@pytest.mark.usefixtures("recorded")
@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("postgresql://user:s3cret@127.0.0.1:9/name", "write env:NAME"),
        ("postgresql://user@127.0.0.1:9/name?password=s3cret", "write env:NAME"),
        ("postgresql://user@s3cret@127.0.0.1:9/name", "must be sqlite:///"),
        ("mysql://user@127.0.0.1:9/s3cret", "must be sqlite:///"),
        ("env:WRONG", "must be sqlite:///"),
        ("env:UNSET", "the environment variable UNSET is not set"),
        ("env:", "is not set"),
        ("none.yaml", "none.yaml"),
        ("", "Is a directory"),
    ],
)
def test_a_place_that_is_none_is_one_line_without_a_secret(
    run, configured, monkeypatch, place, expected
):
    monkeypatch.setenv("WRONG", "mysql://s3cret")

    for places in ([configured(), place], [place, configured()]):
        ran = run("store", "copy", *places)

        assert ran.code == 2
        assert expected in ran.err
        assert "s3cret" not in ran.err + ran.out
        assert ran.err.count("\n") == 1


@pytest.mark.usefixtures("recorded")
def test_a_server_that_is_away_is_one_line_without_a_secret(run, configured, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "postgresql://user:s3cret@127.0.0.1:9/name")

    ran = run("store", "copy", configured(), "env:DATABASE_URL")

    assert ran.code == 1
    assert "is the server running" in ran.err
    assert "s3cret" not in ran.err
    assert "user" not in ran.err


@pytest.mark.usefixtures("recorded")
def test_a_database_is_not_copied_into_itself(run, configured, tmp_path):
    ran = run("store", "copy", configured(), f"sqlite:///{tmp_path}/monitor.db")

    assert ran.code == 2
    assert "the same database" in ran.err


async def copied(installation, target):
    """Copy the database of the *installation*, and let its configuration name *target*."""
    log = installation.file.with_name("copy.log")
    arguments = ("store", "copy", str(installation.file), "env:TARGET")
    async with program(*arguments, log=log, env={"TARGET": target}) as copying:
        assert await copying.ended() == 0, copying.output()
        assert make_url(target).password is None or postgresql.PASSWORD not in copying.output()
    text = installation.file.read_text()
    before = next(line for line in text.splitlines() if line.startswith("storage:"))
    installation.file.write_text(text.replace(before, f'storage: {{url: "{target}"}}'))


@pytest.mark.slow
async def test_a_monitor_goes_on_with_a_copy_as_if_nothing_had_happened(
    tmp_path, postgres_url, other
):
    simulator = simulated()
    async with install(tmp_path, simulator) as installation:
        hook = installation.hook
        async with installation.run() as monitor:
            await monitor.until_logged("first look")
            first, second = simulator.customer("acme").accounts
            simulator.sign_out("acme", first)
            await hook.wait(lambda: len(hook.events) == len(hook.slack) == 1)
            hook.status = 503  # what comes now stays queued
            simulator.sign_out("acme", second)
            await hook.wait(lambda: len(hook.events) == len(hook.slack) == 2)
            assert await monitor.stop() == 0
        opened = list(hook.ids)
        hook.status = 200

        await copied(installation, postgres_url)
        async with installation.run() as monitor:
            await monitor.until_logged("first look")
            await hook.wait(lambda: len(hook.events) == len(hook.slack) == 3)
            assert hook.ids[2] == opened[1], "what was queued is sent, under its key"
            simulator.recover("acme", first)
            await hook.wait(lambda: len(hook.events) == len(hook.slack) == 4)
            assert await monitor.stop() == 0

        await copied(installation, other)
        async with installation.run() as monitor:
            await monitor.until_logged("first look")
            simulator.recover("acme", second)
            await hook.wait(lambda: len(hook.events) == len(hook.slack) == 5)
            assert await monitor.stop() == 0

    events = [(event["type"], event["data"]["account"]["id"]) for event in hook.events]
    assert events == [
        ("incident.opened", first),
        ("incident.opened", second),
        ("incident.opened", second),
        ("incident.resolved", first),
        ("incident.resolved", second),
    ]

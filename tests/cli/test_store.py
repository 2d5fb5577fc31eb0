"""The command `store copy`."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from harness import postgresql
from harness.running_monitor import install, simulated


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
def test_as_a_table_it_is_one_line(run, configured, other):
    (shown,) = run("store", "copy", "--table", configured(), other).out.splitlines()

    assert shown.endswith(" s: 1 workspace, 3 accounts, 2 incidents, 2 messages")


@pytest.mark.usefixtures("recorded")
@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("postgresql://user:s3cret@127.0.0.1:9/name", "write env:NAME"),
        ("postgresql://user@127.0.0.1:9/name?password=s3cret", "write env:NAME"),
        ("postgresql://user@127.0.0.1:9/name?sslpassword=s3cret", "write env:NAME"),
        ("postgresql://user@s3cret@127.0.0.1:9/name", "must be sqlite:///"),
        ("mysql://user@127.0.0.1:9/s3cret", "must be sqlite:///"),
        ("env:WRONG", "must be sqlite:///"),
        ("env:UNSET", "the environment variable UNSET is not set"),
        ("env:", "is not set"),
        ("none.yaml", "none.yaml is no configuration file; name one, or the address of a"),
        ("no\n\x1b[31m.yaml", "is no configuration file"),
        ("", "is no configuration file"),
        ("monitor.db", "monitor.db is a database, no configuration: write sqlite:////"),
    ],
)
def test_a_place_that_is_none_is_one_line_without_a_secret(
    run, configured, monkeypatch, place, expected
):
    monkeypatch.setenv("WRONG", "mysql://s3cret")
    monkeypatch.chdir(Path(configured()).parent)

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


@pytest.mark.slow
async def test_a_monitor_goes_on_with_a_copy_as_if_nothing_had_happened(
    tmp_path, postgres_url, run, monkeypatch
):
    simulator = simulated()
    monkeypatch.setenv("TARGET", postgres_url)
    async with install(tmp_path, simulator) as installation:
        hook, file = installation.hook, installation.file
        async with installation.run() as monitor:
            await monitor.until_logged("first look")
            first, second = simulator.customer("acme").accounts
            simulator.sign_out("acme", first)
            await hook.wait(lambda: len(hook.events) == len(hook.slack) == 1)
            hook.status = 503  # what comes now stays queued
            simulator.sign_out("acme", second)
            await hook.wait(lambda: len(hook.events) == len(hook.slack) == 2)
            assert await monitor.stop() == 0
        hook.status = 200

        copied = run("store", "copy", str(file), "env:TARGET")
        former = f"sqlite:///{tmp_path}/monitor.db"
        file.write_text(file.read_text().replace(former, postgres_url))
        async with installation.run() as monitor:
            await hook.wait(lambda: len(hook.events) == len(hook.slack) == 3)
            simulator.recover("acme", "*")
            await hook.wait(lambda: len(hook.events) == len(hook.slack) == 5)
            assert await monitor.stop() == 0

    assert postgresql.PASSWORD not in copied.out + copied.err
    assert hook.ids[2] == hook.ids[1], "what was queued is sent, under its key"
    told = [(event["type"], event["data"]["account"]["id"]) for event in hook.events]
    assert told[:3] == [("incident.opened", id_) for id_ in (first, second, second)]
    assert sorted(told[3:]) == sorted(("incident.resolved", id_) for id_ in (first, second))

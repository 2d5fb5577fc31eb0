"""What pages without a test of their own tell people to type, typed."""

import json
import os
import shlex
import subprocess

import httpx
import psycopg
import pytest
from harness import postgresql
from harness.pages import ROOT, blocks

from monitor.cli import commands
from monitor.simulator import Simulator, serve
from monitor.store.db import Store

SHELL = ("sh", "console")


def block(page):
    """The one block of commands of a page."""
    (text,) = blocks(page, *SHELL)
    return text


async def test_the_simulator_does_what_its_page_tells_people_to_ask_for():
    simulator = Simulator(seed=1)
    simulator.add_customer("simulated", "linked_simulated")
    simulator.add_accounts("simulated", 8)
    typed = [shlex.split(line, comments=True) for line in block("docs/simulator.md").splitlines()]
    acts = [words[1:] for words in typed if words[:1] == ["act"]]

    async with serve(simulator) as url, httpx.AsyncClient(base_url=url, verify=False) as client:
        for action, parameters in acts:
            answer = await client.post(f"/control/{action}", json=json.loads(parameters))
            assert answer.status_code == 200, answer.text
        for shown in ("state", "requests"):
            assert (await client.get(f"/control/{shown}")).status_code == 200

    assert len(acts) == 11


def test_the_page_of_the_configuration_begins_with_commands_that_work(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LINKED_API_TOKEN", "linked_token_of_tests")
    for line in block("docs/configuration.md").splitlines():
        program, *words = shlex.split(line.partition(">")[0], comments=True)
        with pytest.raises(SystemExit) as ended:
            commands.main(words)
        shown = capsys.readouterr()
        assert (program, ended.value.code or 0) == ("linkedapi-monitor", 0), shown.err

    assert (tmp_path / "config.yaml").exists()


@pytest.mark.slow
def test_a_dump_of_postgresql_is_restored_as_its_page_says(tmp_path):
    first, *rest = block("docs/postgresql.md").splitlines()
    assert first.startswith("export PGHOST=")
    with postgresql.server() as server:
        server.run("CREATE DATABASE monitor")
        Store.open(server.url("monitor")).close()
        env = {"PGHOST": "127.0.0.1", "PGPORT": f"{server.port}", "PGUSER": postgresql.USER}
        programs = f"{postgresql.binaries()}{os.pathsep}{os.environ['PATH']}"
        env |= {"PGPASSWORD": postgresql.PASSWORD, "PATH": programs}

        subprocess.run(
            ["sh", "-euc", "\n".join(rest)], env={**os.environ, **env}, cwd=tmp_path, check=True
        )

        with psycopg.connect(server.url("restored")) as connection:
            (count,) = connection.execute("SELECT COUNT(*) FROM migration").fetchone()
    assert count > 0
    assert (tmp_path / "monitor.dump").stat().st_mode & 0o777 == 0o600


def test_there_are_no_other_blocks_that_nobody_types():
    pages = [ROOT / "README.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("bench/*.md")]
    with_blocks = {page.stem for page in pages if blocks(page, *SHELL)}

    tested_elsewhere = {"README", "alertmanager", "commands", "deployment", "monitoring"}
    tested_elsewhere |= {"operating", "replicas"}
    assert with_blocks == tested_elsewhere | {"simulator", "configuration", "postgresql"}

"""What docs/operating.md shows is run, in its order, and shows what it says."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest
from harness.core import LINK, listed_account, signed_out
from harness.store import StoreHarness

from monitor.cli import commands
from monitor.store.db import Store

PAGE = Path(__file__).parents[1] / "docs/operating.md"
CONSOLE = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
CONFIG = """
workspaces: [{{name: acme, token: linked_test_token}}]
storage: {{url: "{url}"}}
"""
VARYING = re.compile(r"\d[\d.,]*( MB| (?:min|[sdh])\b)|\d{4}-\d\d-\d\d \d\d:\d\d")


def steps(page):
    """Each command of the page with what it shows."""
    for block in CONSOLE.findall(page):
        for step in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, shown = step.partition("\n")
            yield command, shown


def comparable(shown, folder):
    """What is *shown*, but for times, sizes and where it is."""
    shown = VARYING.sub("…", shown.replace(f"{folder}/", ""))
    shown = re.sub(r"\S+ at 127.0.0.1", "… at 127.0.0.1", shown)
    return [re.sub(r"… (?=…)", "", " ".join(line.split())) for line in shown.splitlines()]


@pytest.fixture
def folder(tmp_path, postgres_url):
    for name, url in (
        ("config", f"sqlite:///{tmp_path}/monitor.db"),
        ("postgresql", postgres_url),
    ):
        file = tmp_path / f"{name}.yaml"
        file.touch(0o600)
        file.write_text(CONFIG.format(url=url))
    harness = StoreHarness(Store.open(f"sqlite:///{tmp_path}/monitor.db"))
    names = {"a": "Dana Doe", "b": "Carla Tanaka"}
    harness.poll(*(listed_account(id_, name=name) for id_, name in names.items()))
    harness.poll(signed_out("a", name=names["a"], link=LINK), listed_account("b", name=names["b"]))
    harness.store.close()
    return tmp_path


def run(command, capsys):
    """Run *command* where we are, as a shell would; return what it shows."""
    program, *arguments = shlex.split(command)
    if program != "linkedapi-monitor":
        subprocess.run(["sh", "-euc", command], check=True)
        return ""
    with pytest.raises(SystemExit) as ended:
        commands.main(arguments)
    shown = capsys.readouterr()
    assert not ended.value.code, shown.err
    return shown.out


def test_the_commands_of_the_page_show_what_it_says(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    monkeypatch.setenv("LINKEDAPI_MONITOR_CONFIG", "config.yaml")
    monkeypatch.setenv("COLUMNS", "120")
    listed = list(steps(PAGE.read_text(encoding="utf-8")))

    for command, expected in listed:
        shown = run(command, capsys)
        assert comparable(shown, folder) == comparable(expected, folder), command

    assert len(listed) >= 8

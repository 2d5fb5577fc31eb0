"""What docs/operating.md shows is run, in its order, and shows what it says."""

import re

import pytest
from harness.core import LINK, listed_account, signed_out
from harness.pages import blocks, steps
from harness.store import StoreHarness

from monitor.store.db import Store

CONFIG = """
workspaces: [{{name: acme, token: linked_test_token}}]
storage: {{url: "{url}"}}
"""
VARYING = re.compile(r"\d[\d.,]*( MB| (?:min|[sdh])\b)|\d{4}-\d\d-\d\d \d\d:\d\d")


def comparable(shown, folder):
    """The lines that are *shown*, but for times, sizes and where it is."""
    shown = VARYING.sub("…", "\n".join(shown).replace(f"{folder}/", ""))
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


def test_the_commands_of_the_page_show_what_it_says(folder, typed, monkeypatch):
    monkeypatch.chdir(folder)
    monkeypatch.setenv("LINKEDAPI_MONITOR_CONFIG", "config.yaml")
    commands = [step for block in blocks("docs/operating.md", "console") for step in steps(block)]

    for command, shown in commands:
        assert comparable(typed(command), folder) == comparable(shown, folder), command

    assert len(commands) >= 8

import json
import subprocess
import sys

import pytest

from monitor import __version__
from monitor.cli.commands import COMMANDS, load
from monitor.core.errors import MonitorError, SetupError

HEAVY = {"aiohttp", "httpx", "rich", "sqlalchemy", "starlette", "structlog", "yaml"}


def test_the_version_is_printed_plain_or_as_json(run):
    assert run("version").out.strip() == __version__
    assert run("--version").out.strip() == __version__
    assert run("version", "--json").data == __version__


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [["-h"], ["healthcheck", "-h"]])
def test_a_start_loads_nothing_that_it_does_not_need(arguments):
    script = f"""
import sys
from monitor.cli import commands
try:
    commands.main({arguments})
finally:
    print("loaded:", *{HEAVY} & set(sys.modules))
"""
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)

    assert ended.stdout.splitlines()[-1] == b"loaded:"


@pytest.mark.parametrize("command", [[], *([name] for name in COMMANDS)])
def test_no_line_of_a_help_is_cut_off_or_too_long(run, command, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")

    shown = run(*command, "-h").out

    assert shown == run(*command, "--help").out
    assert shown.startswith(" ".join(["Usage: linkedapi-monitor", *command]))
    assert "..." not in shown.replace("[ARGS]...", "").replace("[NAMES]...", "")
    assert max(map(len, shown.splitlines())) <= 80


def test_the_list_of_commands_names_each_with_what_it_does(run):
    shown = run("-h").out

    for name, (_, summary) in COMMANDS.items():
        assert f"  {name:<11}  {summary}\n" in f"{shown}\n"
        assert load(name).name == name


def test_nothing_asked_for_is_the_help(run):
    ran = run()

    assert ran.code == 2
    assert ran.err.startswith("Usage: linkedapi-monitor")


@pytest.mark.parametrize(
    ("words", "names"),
    [("linkedapi-monitor acc", ["accounts"]), ("linkedapi-monitor accounts --b", ["--bad"])],
)
def test_a_shell_completes_commands_and_options(run, monkeypatch, words, names):
    monkeypatch.setenv("_LINKEDAPI_MONITOR_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(len(words.split()) - 1))

    assert run().out.split() == names


def test_completion_is_shown_for_a_shell(run, monkeypatch):
    monkeypatch.setenv("_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION", "1")

    assert "_LINKEDAPI_MONITOR_COMPLETE" in run("--show-completion", "bash").out


@pytest.mark.parametrize(("kind", "code"), [(MonitorError, 1), (SetupError, 2)])
def test_what_a_person_must_know_is_taken_out_of_a_group(run, monkeypatch, kind, code):
    def fail():
        raise ExceptionGroup("", [ValueError("a bug"), ExceptionGroup("", [kind("do this")])])

    monkeypatch.setattr("monitor.cli.version.version", fail)

    ran = run("version")

    assert ran.code == code
    assert json.loads(ran.err)["message"] == "do this"

import json
import subprocess
import sys

import pytest
from harness.core import signed_out

from monitor import __version__
from monitor.cli.commands import COMMANDS, load
from monitor.core.errors import MonitorError, SetupError

LISTINGS = ["accounts", "incidents", "deliveries", "workspaces"]
RECEIVERS = """
receivers:
  - {name: chat, type: slack, url: "https://hooks.slack.com/services/x"}
  - {name: crm, type: webhook, url: "https://x", secret: whsec_c2VjcmV0c2VjcmV0c2VjcmV0}
  - {name: mail, type: email, host: mail.example.com, from: a@example.com, to: [b@example.com]}
"""

HEAVY = {"aiohttp", "httpx", "rich", "sqlalchemy", "starlette", "structlog", "yaml"}
SLOW_AT_WORK = {
    *("aiohttp", "aiosmtplib", "apscheduler", "httpx", "jinja2", "monitor.work", "msgspec"),
    *("prometheus_client", "psycopg", "rich", "starlette", "structlog", "uvicorn"),
}

NOT_FOR_SLACK = {"aiosmtplib", "jinja2", "monitor.simulator", "psycopg", "pygments", "rich"}


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


@pytest.mark.slow
def test_a_listing_loads_nothing_of_what_asks_sends_or_serves(configured, recorded):
    recorded.poll(signed_out("x"))
    script = f"""
import sys
from monitor.cli import commands
for listing in {LISTINGS}:
    try:
        commands.main([listing, "-c", {configured(more=RECEIVERS)!r}])
    except SystemExit as ended:
        assert not ended.code
print("loaded:", *{SLOW_AT_WORK} & set(sys.modules))
"""
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)

    *listed, loaded = ended.stdout.splitlines()
    assert [json.loads(line)["success"] for line in listed] == [True] * len(LISTINGS)
    assert loaded == b"loaded:"


@pytest.mark.slow
def test_a_monitor_loads_nothing_that_its_receivers_and_its_database_do_not_need(configured):
    slack, *_ = RECEIVERS.strip().splitlines()[1:]
    script = f"""
import sys
from pathlib import Path
from monitor.cli.commands import load
load("run")
from monitor.app import components, process
from monitor.net.proxy import from_environment
config = process.load(Path({configured(more=f"receivers: [{slack.strip()[2:]}]")!r}))
components.check_network(config, from_environment())
print("loaded:", *{NOT_FOR_SLACK} & set(sys.modules))
import rich.table  # for others it is there
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

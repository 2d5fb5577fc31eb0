"""The commands: what they print, and the code they exit with."""

import contextlib
import json
import os
import pty
import re
import subprocess
import sys
import termios

import pytest
from harness.core import LINK

from monitor import __version__
from monitor.cli.output import WORST_FIRST, Exit, worst
from monitor.simulator import api_error
from monitor.store import workspaces
from monitor.store.db import Store


def test_the_version_is_printed_plain_or_as_json(run):
    assert run("version").out.strip() == __version__
    assert run("version", "--json").data == __version__


def test_check_shows_every_account_and_exits_0_when_all_is_well(run, api, configured):
    simulator, url = api
    simulator.add_accounts("acme", 3)

    ran = run("check", "-c", configured(url))

    assert ran.code == 0
    assert {one["status"] for one in ran.data} == {"active"}
    assert set(ran.data[0]) >= {"workspace", "id", "name", "url", "country", "status", "raw_status"}


@pytest.mark.parametrize(
    ("change", "code"), [("sign_out", Exit.NEEDS_LOGIN), ("freeze", Exit.FROZEN)]
)
def test_check_tells_by_its_exit_code_what_is_wrong(run, api, configured, change, code):
    simulator, url = api
    simulator.add_accounts("acme", 3)
    simulator.perform(change, {"customer": "acme", "account": "*"})

    assert run("check", "-c", configured(url)).code == code


def test_check_leaves_out_who_is_ignored_and_says_who_owns_the_others(run, api, configured):
    simulator, url = api
    simulator.add_account("acme", name="Test Robot")
    simulator.add_account("acme", name="Jane Doe")
    simulator.sign_out("acme", "Test Robot")
    accounts = "accounts: [{match: {name: 'Test *'}, ignore: true}, {labels: {owner: jane@x.de}}]"

    ran = run("check", "-c", configured(url, accounts))

    assert ran.code == 0
    assert [(one["name"], one["labels"]) for one in ran.data] == [
        ("Jane Doe", {"owner": "jane@x.de"})
    ]


def test_check_writes_nothing_and_shows_no_link(run, api, configured, tmp_path):
    simulator, url = api
    simulator.add_accounts("acme", 1)
    simulator.sign_out("acme", "*")

    ran = run("check", "-c", configured(url))

    assert "/connection/" not in ran.out + ran.err
    assert not (tmp_path / "monitor.db").exists()


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (api_error("invalidLinkedApiToken", status=401), Exit.AUTH_OR_CONFIG),
        (api_error("tooManyRequests", status=429), Exit.RATE_LIMIT),
        (api_error("somethingNew", status=400), Exit.GENERAL),
    ],
)
def test_check_says_why_a_workspace_cannot_be_read(run, api, configured, fault, code):
    simulator, url = api
    simulator.faults.add(fault)

    ran = run("check", "-c", configured(url))

    assert ran.code == code
    assert json.loads(ran.err)["message"].startswith("acme: ")
    assert ran.out == ""


def test_check_exits_7_when_nothing_answers(run, configured):
    assert run("check", "-c", configured()).code == Exit.NETWORK


def test_the_exit_code_that_matters_most_wins():
    assert worst([]) is Exit.OK
    assert worst([Exit.FROZEN, Exit.NEEDS_LOGIN, Exit.OK]) is Exit.NEEDS_LOGIN
    assert worst(WORST_FIRST) is Exit.AUTH_OR_CONFIG


@pytest.mark.usefixtures("recorded")
def test_accounts_are_listed_without_links_unless_asked(run, configured):
    ran = run("accounts", "-c", configured())

    assert [one["id"] for one in ran.data] == ["cold", "out", "ok"]
    assert ran.data[0]["since"].endswith("Z")
    assert LINK not in ran.out
    assert LINK in run("accounts", "-c", configured(), "--show-links").out


def test_accounts_are_listed_with_labels_and_without_workspaces_that_left(
    run, configured, recorded, tmp_path
):
    labels = "accounts: [{match: {id: out}, labels: {owner: jane@x.de}}]"
    ran = run("accounts", "-c", configured(more=labels))
    assert [one["labels"] for one in ran.data] == [{}, {"owner": "jane@x.de"}, {}]

    store = Store.open(f"sqlite:///{tmp_path}/monitor.db")
    store.run_now(lambda tx: workspaces.detach(tx, (), recorded.now))
    store.close()

    assert run("accounts", "-c", configured()).data == []


@pytest.mark.usefixtures("recorded")
def test_incidents_are_listed_with_their_duration(run, configured):
    ran = run("incidents", "-c", configured())

    assert {one["cause"] for one in ran.data} == {"frozen", "reconnection_required"}
    assert set(ran.data[0]) >= {"id", "workspace", "scope", "opened_at", "duration_seconds"}
    assert all(one["duration_seconds"] >= 0 for one in ran.data)


@pytest.mark.usefixtures("recorded")
def test_deliveries_are_listed_with_how_they_fare(run, configured):
    ran = run("deliveries", "-c", configured())

    assert sorted(one["state"] for one in ran.data) == ["delivered", "pending"]
    assert set(ran.data[0]) >= {"id", "message_id", "incident_ids", "event", "attempts", "reason"}


def test_config_check_counts_what_there_is(run, configured):
    ran = run("config", "check", "-c", configured())

    assert ran.code == 0
    assert ran.out == "ok: 1 workspace, 0 receivers, 0 routes\n"


def test_a_wrong_configuration_is_every_problem_and_exit_2(run, configured):
    ran = run("config", "check", "-c", configured(more="pol: {}\nweb: {listen: nowhere}"))

    assert ran.code == 2
    error = json.loads(ran.err)
    assert error["error"] == "config"
    assert "did you mean poll?" in error["message"]
    assert "web.listen" in error["message"]


def test_nothing_configured_says_what_to_do(run):
    ran = run("accounts")

    assert ran.code == 2
    assert "LINKED_API_TOKEN" in ran.err


def test_receivers_test_says_which_took_the_message(run, api, configured):
    _, url = api
    more = (
        "receivers:\n"
        "  - {name: good, type: log}\n"
        f"  - {{name: bad, type: slack, url: '{url}/no-such-hook'}}"
    )

    ran = run("receivers", "test", "-c", configured(url, more))

    assert ran.code == 1
    assert [(one["receiver"], one["accepted"]) for one in ran.data] == [
        ("good", True),
        ("bad", False),
    ]
    assert "no-such-hook" not in ran.out


def test_receivers_test_takes_names_and_refuses_strange_ones(run, configured):
    file = configured(more="receivers: [{name: good, type: log}]")

    assert run("receivers", "test", "-c", file, "good").code == 0
    assert run("receivers", "test", "-c", file, "goood").code == Exit.VALIDATION


def test_a_health_check_without_a_monitor_is_unhealthy(run, configured):
    file = configured(more="web: {listen: '127.0.0.1:9'}")

    ran = run("healthcheck", "-c", file)

    assert ran.code == 1
    assert "no answer" in ran.err


def test_a_health_check_goes_by_the_answer(run, api):
    _, url = api
    listen = url.removeprefix("http://")

    assert run("healthcheck", "--listen", listen).code == 1  # the simulated API has no /healthz


@pytest.mark.parametrize("command", ["accounts", "incidents", "deliveries"])
def test_a_database_that_is_not_there_is_said_and_not_made(run, configured, tmp_path, command):
    ran = run(command, "-c", configured())

    assert ran.code == 1
    assert "there is no database" in ran.err
    assert not (tmp_path / "monitor.db").exists()


def on_a_terminal(*arguments):
    """Run the program with a terminal of 80 columns; return what it shows there."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    command = [sys.executable, "-m", "monitor", *arguments]
    environ = {**os.environ, "TERM": "dumb", "COLUMNS": "80"}
    with subprocess.Popen(command, stdout=theirs, stderr=theirs, env=environ) as process:
        os.close(theirs)
        shown = b""
        with contextlib.suppress(OSError):  # the other side has been closed
            while chunk := os.read(ours, 4096):
                shown += chunk
    os.close(ours)
    return process.returncode, shown.decode().replace("\r\n", "\n")


@pytest.mark.usefixtures("recorded")
def test_on_a_terminal_lists_are_tables_that_fit(configured):
    code, accounts = on_a_terminal("accounts", "-c", configured())
    _, deliveries = on_a_terminal("deliveries", "-c", configured())

    assert code == 0
    heading, *rows = accounts.splitlines()
    assert heading.split() == ["workspace", "name", "status", "since", "(UTC)", "id"]
    assert len(rows) == 3
    assert re.search(r"Person out +reconnection_required +2026-11-23 12:02 +out", accounts)
    assert max(map(len, [*accounts.splitlines(), *deliveries.splitlines()])) <= 80


@pytest.mark.usefixtures("recorded")
def test_on_a_terminal_a_link_stays_whole(configured):
    _, accounts = on_a_terminal("accounts", "--show-links", "-c", configured())

    assert LINK in accounts


@pytest.mark.usefixtures("recorded")
def test_on_a_terminal_a_duration_is_one_that_people_read(configured):
    _, incidents = on_a_terminal("incidents", "-c", configured())

    heading, *rows = incidents.splitlines()
    assert heading.split()[-3:] == ["opened", "(UTC)", "duration"]
    assert all(re.search(r"\d (d|h|min|s)$", row.rstrip()) for row in rows)


def test_on_a_terminal_nothing_to_list_is_a_sentence_and_an_error_a_line(configured, tmp_path):
    Store.open(f"sqlite:///{tmp_path}/monitor.db").close()

    assert on_a_terminal("incidents", "-c", configured()) == (0, "no incident is open\n")
    code, shown = on_a_terminal("accounts", "-c", f"{tmp_path}/nowhere.yaml")
    assert code == 2
    assert shown.startswith("error: ")


def test_the_health_check_of_a_wrong_configuration_is_an_error_and_exit_2(configured):
    code, shown = on_a_terminal("healthcheck", "-c", configured(more="pol: {}"))

    assert code == 2
    assert "did you mean poll?" in shown
    assert "Traceback" not in shown


def test_config_show_prints_all_settings_and_no_secret(run, configured):
    hook = "https://hooks.slack.com/services/T0/B0/very-secret"
    file = configured(more=f"receivers: [{{name: chat, type: slack, url: '{hook}'}}]")

    ran = run("config", "show", "-c", file)

    assert ran.code == 0
    assert ran.data["workspaces"][0]["token"] == "**********"
    assert ran.data["receivers"][0]["url"] == "**********"
    assert ran.data["incidents"]["blind_after"] == "5m"
    assert "very-secret" not in ran.out
    assert "linked_test_token" not in ran.out


def test_what_config_show_prints_can_be_loaded_again(run, configured, tmp_path):
    more = (
        "poll: {cron: '*/5 8-20 * * mon-fri'}\n"
        "routes: [{to: [log], continue: true}]\n"
        "receivers: [{name: log, type: log}]"
    )
    file = configured(more=more)
    shown = run("config", "show", "-c", file).data
    again = tmp_path / "again.yaml"
    again.write_text(json.dumps(shown).replace("**********", "sqlite:///x"))

    ran = run("config", "show", "-c", str(again))

    assert ran.data["workspaces"][0]["poll"] == shown["workspaces"][0]["poll"]
    assert ran.data["routes"] == shown["routes"]


def test_config_schema_is_the_plain_schema(run):
    ran = run("config", "schema")

    assert ran.code == 0
    assert json.loads(ran.out)["properties"].keys() >= {"workspaces", "accounts", "receivers"}


def test_config_show_of_a_wrong_file_exits_2(run, configured):
    assert run("config", "show", "-c", configured(more="pol: {}")).code == 2

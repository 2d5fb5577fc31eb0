import json

import pytest


def test_config_check_counts_what_there_is(run, configured):
    ran = run("config", "check", "-c", configured())

    assert ran.code == 0
    assert ran.out == "ok: 1 workspace, 0 receivers, 0 routes\n"


def test_config_check_says_which_variable_overrides_the_file(run, configured, monkeypatch):
    monkeypatch.setenv("LINKEDAPI_MONITOR_STORAGE_URL", "sqlite:////data/monitor.db")

    ran = run("config", "check", "-c", configured())

    assert ran.code == 0
    assert ran.err == "warning: storage.url: LINKEDAPI_MONITOR_STORAGE_URL overrides the file\n"


@pytest.mark.parametrize("command", ["check", "show"])
def test_a_wrong_configuration_is_every_problem_and_exit_2(run, configured, command):
    ran = run("config", command, "-c", configured(more="pol: {}\nweb: {listen: nowhere}"))

    assert ran.code == 2
    error = json.loads(ran.err)
    assert error["error"] == "config"
    assert "did you mean poll?" in error["message"]
    assert "web.listen" in error["message"]


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

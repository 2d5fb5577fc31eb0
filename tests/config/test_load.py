import json
import os

import pytest
from harness.packages import installed
from pydantic import ValidationError

from monitor.config import ConfigError, load
from monitor.config.json_schema import schema
from monitor.core.errors import SetupError
from monitor.core.policy import IncidentPolicy
from monitor.core.secret import Secret
from monitor.net.tls import tls_context

from .conftest import WORKSPACE


def test_a_token_is_all_that_a_file_needs(load_text):
    config = load_text(WORKSPACE)

    (workspace,) = config.workspaces
    assert (workspace.name, workspace.token) == ("default", Secret("abc"))
    assert config.incidents == IncidentPolicy()
    assert config.receivers == config.routes == config.warnings == ()
    assert config.fallback is None
    assert config.timezone == "UTC"


def test_the_subscription_need_not_be_asked_about(load_text):
    assert load_text(f"{WORKSPACE}\nsubscription: false").subscription is False


def test_every_section_reaches_its_settings(load_text, snapshot):
    config = load_text(
        """
workspaces:
  - {name: acme, token: abc, renamed_from: old, labels: {team: growth}}
accounts:
  - {match: {workspace: acme, name: "Jane *"}, labels: {owner: jane@example.com}}
  - {match: {id: [a1, a2], url: linkedin.com/in/x}, ignore: true}
  - {labels: {tier: gold}, ignore: false}
linked_api: {timeout: 10s, requests_per_minute: 30}
poll: {every: 2m}
incidents: {open_after: 2, remind: [], flapping: {changes: 3}}
subscription: {every: 2h}
reconnection: {create: never}
receivers:
  - {name: ops, type: slack, url: "https://hooks.slack.com/services/x"}
  - {name: own, type: email, host: h, from: a@example.com, to: {label: owner}}
routes:
  - {match: {cause: frozen, account: ["Jane *", a-1], scope: account}, to: own, continue: true}
  - {to: [ops]}
fallback: ops
delivery: {deadline: 1h}
storage: {url: "sqlite:///x.db", keep: 30d}
web: {listen: "0.0.0.0:9000", metrics_token: hush-hush-hush-hush}
metrics: {per_account: unhealthy, account_names: false}
log: {level: debug, format: console}
timezone: Europe/Berlin
"""
    )

    (warning,) = config.warnings
    assert "accounts[0].labels.owner: goes by a name or url" in warning
    assert json.loads(config.model_dump_json(exclude_defaults=True)) == snapshot


def test_a_workspace_lays_its_poll_settings_over_the_common_ones(load_text):
    workspaces = """
workspaces:
  - {name: plain, token: a}
  - {name: often, token: b, poll: {every: 30s}}
  - {name: early, token: c, poll: {cron: "0 6 * * *", timezone: Asia/Kolkata}}
  - {name: calm, token: d, poll: {jitter: 0s}}
"""

    crons = load_text(workspaces + "poll: {cron: '0 8 * * *', timezone: Europe/Berlin}")
    spans = load_text(workspaces + "poll: {every: 2m, jitter: 1s}\ntimezone: Europe/Vienna")

    polls = [workspace.poll for workspace in crons.workspaces]
    assert [(poll.cron, poll.timezone) for poll in polls] == [
        ("0 8 * * *", "Europe/Berlin"),
        (None, "Europe/Berlin"),
        ("0 6 * * *", "Asia/Kolkata"),
        ("0 8 * * *", "Europe/Berlin"),
    ]
    assert (str(polls[1].every), str(polls[3].jitter)) == ("30s", "0s")
    polls = [workspace.poll for workspace in spans.workspaces]
    assert [poll.cron for poll in polls] == [None, None, "0 6 * * *", None]
    assert [str(poll.every) for poll in (polls[0], polls[1], polls[3])] == ["2m", "30s", "2m"]
    assert [str(poll.jitter) for poll in polls] == ["1s", "1s", "1s", "0s"]


def test_sections_without_content_are_as_if_they_were_not_there(load_text):
    config = load_text(WORKSPACE + "receivers:\nroutes:\nincidents:\nfallback:\n")

    assert config.receivers == ()
    assert config.incidents == IncidentPolicy()


def test_an_empty_file_is_as_no_file_and_says_so(load_text):
    config = load_text("# nothing yet\n", LINKED_API_TOKEN="abc")

    assert config.workspaces[0].token == Secret("abc")
    assert [warning.rpartition("/")[2] for warning in config.warnings] == ["config.yaml: is empty"]


def test_the_environment_names_the_file_unless_the_caller_does(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).write_text(f"workspaces: [{{name: {name}, token: abc}}]")
    environ = {"LINKEDAPI_MONITOR_CONFIG": str(tmp_path / "one")}

    assert load(None, environ).workspaces[0].name == "one"
    assert load(tmp_path / "two", environ).workspaces[0].name == "two"


def test_a_configuration_cannot_be_changed(load_text):
    config = load_text(WORKSPACE)

    with pytest.raises(ValidationError):
        config.timezone = "Europe/Berlin"


@pytest.mark.slow
def test_ten_thousand_workspaces_are_not_too_many(load_text):
    entries = "".join(
        f"  - name: w{number}\n    token: t{number}\n    labels: {{team: a, owner: b}}\n"
        f"    poll: {{every: 2m}}\n"
        for number in range(10_000)
    )

    assert len(load_text(f"workspaces:\n{entries}").workspaces) == 10_000


def test_a_long_list_of_problems_is_cut(load_text):
    with pytest.raises(ConfigError) as caught:
        load_text(WORKSPACE + "".join(f"zz{number}: 1\n" for number in range(60)))

    assert len(caught.value.problems) == 60
    assert str(caught.value).endswith("\nand 10 more")
    assert len(str(caught.value).splitlines()) == 51


def test_a_broken_notifier_of_a_third_party_is_named(load_text, tmp_path):
    with (
        installed(tmp_path, name="pigeon", target="third_party_pigeon"),
        pytest.raises(ConfigError) as caught,
    ):
        load_text(WORKSPACE + "receivers:\n  - {name: coop, type: pigeon}")

    (problem,) = caught.value.problems
    assert (problem.line, problem.path) == (3, "receivers[0].type")
    assert "third_party_pigeon" in problem.message


PAGER = """
from pathlib import Path
from monitor.core.errors import SetupError
from monitor.core.secret import Secret
from monitor.notifiers import ReceiverSettings
class Settings(ReceiverSettings):
    key: Secret
    sound: Path | None = None
class Notifier: ...
"""


def test_a_notifier_of_a_third_party_has_its_secrets_in_files_too(load_text, tmp_path):
    (tmp_path / "key").write_text("hush\n")
    with installed(tmp_path, name="pager", target="third_party_pager", module=PAGER):
        config = load_text(
            WORKSPACE
            + "receivers: [{name: on-call, type: pager, key_file: key, sound: sounds/siren.wav}]"
        )
        keys = schema()["$defs"]["third_party_pager__Settings"]["properties"]

    assert config.receivers[0].key == Secret("hush")
    assert config.receivers[0].sound == tmp_path / "sounds" / "siren.wav"
    assert {"key", "key_file"} <= keys.keys()


def test_a_folder_that_is_gone_is_one_line(tmp_path, monkeypatch):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()

    with pytest.raises(SetupError, match=r"^x: the folder that this was started in is gone"):
        load(None, {"LINKED_API_TOKEN_FILE": "x"})
    assert load(None, {"LINKED_API_TOKEN": "x"})


def test_a_file_with_secrets_that_everybody_can_read_is_noted(tmp_path):
    file = tmp_path / "config.yaml"
    environ = {"TOKEN": "linked_x", "LINKEDAPI_MONITOR_CONFIG": str(file)}
    note = f"{file}: holds secrets, and everybody can read it; chmod o-r, or put them into files"

    def notes(text, mode=0o644):
        file.write_text(text)
        file.chmod(mode)
        return load(None, environ).findings.notes

    assert notes(WORKSPACE) == (note,)
    assert notes(WORKSPACE, 0o640) == ()  # of root and the service's group, say
    assert notes("workspaces: [{token: '${TOKEN}'}]") == ()
    database = "workspaces: [{token: '${TOKEN}'}]\nstorage: {url: 'postgresql://%sdb/m'}"
    assert notes(database % "") == ()
    assert notes(database % "me:pw@") == (note,)


@pytest.mark.parametrize("key", ["token_file", "web: {metrics_token_file", "linked_api: {ca_file"])
def test_a_pipe_is_no_file_and_holds_nobody_up(tmp_path, key):
    os.mkfifo(tmp_path / "pipe")
    file = tmp_path / "config.yaml"
    file.write_text(
        f"workspaces: [{{{key}: pipe}}]" if key == "token_file" else f"{WORKSPACE}{key}: pipe}}"
    )

    if "ca_file" in key:
        with pytest.raises(SetupError, match="it is no regular file"):
            tls_context(load(file, {}).linked_api.ca_file)
        return
    with pytest.raises(ConfigError, match="cannot be read: it is no regular file"):
        load(file, {})
    with pytest.raises(ConfigError, match="cannot be read: it is no regular file"):
        load(tmp_path / "pipe", {})

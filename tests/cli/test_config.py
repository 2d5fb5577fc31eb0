import json
import re
import stat
from pathlib import Path

import pytest

from monitor.config import load
from monitor.config.starter import STARTER, make_starter

ROOT = Path(__file__).parents[2]


def test_config_init_writes_a_file_that_needs_a_token_alone(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    started = run("config", "init", "config.yaml")

    assert started.out == "wrote config.yaml\n"
    assert started.err.splitlines()[:3] == [
        "Next:",
        "  export LINKED_API_TOKEN=…",
        "  linkedapi-monitor config check -c config.yaml    # what is wrong with it",
    ]
    assert stat.S_IMODE((tmp_path / "config.yaml").stat().st_mode) == 0o600
    monkeypatch.setenv("LINKED_API_TOKEN", "a-token")
    ran = run("config", "check", "-c", "config.yaml")
    assert (ran.code, ran.out, ran.err) == (0, "ok: 1 workspace, 1 receiver, 0 routes\n", "")


def test_config_init_prints_the_file_if_none_is_named(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LINKED_API_TOKEN", "a-token")

    printed = run("config", "init")

    assert printed.out.splitlines()[0] == "# yaml-language-server: $schema=config.schema.json"
    assert printed.out == STARTER.read_text(encoding="utf-8")
    assert printed.err.splitlines()[:2] == ["Next:", "  linkedapi-monitor config init config.yaml"]
    assert "export" not in printed.err
    assert not list(tmp_path.iterdir())


SURROUNDED = {
    "SLACK_WEBHOOK_URL": "https://hooks.slack.com/services/hush",
    "SMTP_URL": "smtps://us%3Aer:hush@mail.example.com",
    "ALERT_EMAIL_TO": "ops@example.com, ${HOME}@example.com",
}


def test_config_init_begins_with_what_the_environment_has_and_tells_no_secret(tmp_path):
    token = tmp_path / "token"
    token.write_text("linked_hush")
    environ = {**SURROUNDED, "LINKED_API_TOKEN_FILE": str(token)}
    starter = make_starter(environ)
    file = tmp_path / "config.yaml"
    file.write_text(starter.text)

    made = load(file, {**environ, "SMTP_PASSWORD": "hush"})

    assert "hush" not in starter.text
    assert starter.unset == ("SMTP_PASSWORD",)
    by_environment = load(None, environ)
    slack, mail = (
        receiver.model_copy(update={"name": receiver.name.removeprefix("ops-")})
        for receiver in made.receivers
    )
    assert (slack, mail) == by_environment.receivers
    assert made.workspaces == by_environment.workspaces


def test_config_init_says_what_of_the_environment_is_wrong(run, monkeypatch):
    monkeypatch.setenv("SMTP_URL", "smtp://user:se/cret@mail.example.com")
    monkeypatch.setenv("ALERT_EMAIL_TO", "ops@example.com")

    ran = run("config", "init")

    assert (ran.code, ran.out) == (2, "")
    assert "SMTP_URL: must be smtp://" in json.loads(ran.err)["message"]
    assert "cret" not in ran.err


def test_what_config_init_leaves_as_comments_is_right_too(tmp_path):
    text = STARTER.read_text()
    file = tmp_path / "config.yaml"
    body = text[text.index("workspaces:") :]
    file.write_text(re.sub(r"^( *)# ", r"\1", body, flags=re.MULTILINE))
    hook = "https://hooks.slack.com/services/x"

    config = load(
        file, {"LINKED_API_TOKEN": "a", "SLACK_WEBHOOK_URL": hook, "SMTP_PASSWORD": "secret"}
    )

    assert [receiver.type for receiver in config.receivers] == ["log", "slack", "email"]
    assert (len(config.routes), config.fallback) == (2, "ops-email")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("there", "is there already; name another file"),
        ("missing/config.yaml", "cannot be written: No such file or directory"),
        (".", "is there already"),
    ],
)
def test_config_init_writes_over_nothing(run, tmp_path, monkeypatch, name, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").write_text("mine")

    ran = run("config", "init", name)

    assert ran.code == 2
    assert words in json.loads(ran.err)["message"]
    assert (tmp_path / "there").read_text() == "mine"


def test_config_check_counts_what_there_is(run, configured):
    ran = run("config", "check", "-c", configured())

    assert ran.code == 0
    assert ran.out == "ok: 1 workspace, 0 receivers, 0 routes\n"


def test_config_check_says_which_variable_overrides_the_file(run, configured, monkeypatch):
    monkeypatch.setenv("LINKEDAPI_MONITOR_STORAGE_URL", "sqlite:////data/monitor.db")

    ran = run("config", "check", "-c", configured())

    assert ran.code == 0
    assert "warning: storage.url: LINKEDAPI_MONITOR_STORAGE_URL overrides the file\n" in ran.err


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

    ran = run("config", "show", "--json", "-c", file)

    assert ran.code == 0
    assert ran.data["workspaces"][0]["token"] == "**********"
    assert ran.data["receivers"][0]["url"] == "**********"
    assert ran.data["incidents"]["blind_after"] == "5m"
    assert "very-secret" not in ran.out
    assert "linked_test_token" not in ran.out


def test_what_config_show_prints_can_be_loaded_again(run, configured, tmp_path, monkeypatch):
    hook = "https://hooks.slack.com/services/T0/B0/very-secret"
    more = (
        "poll: {cron: '*/5 8-20 * * mon-fri'}\n"
        f"receivers: [{{name: log, type: log}}, {{name: chat, type: slack, url: '{hook}'}}]\n"
        'routes: [{match: {labels: {"a\\u202e": "\\u2066"}}, to: [log], continue: true}]\n'
    )
    first = run("config", "show", "-c", configured(more=more))
    again = tmp_path / "again.yaml"
    again.write_text(first.out)
    monkeypatch.setenv("SECRET_1", "linked_test_token")
    monkeypatch.setenv("SECRET_2", hook)

    second = run("config", "show", "-c", str(again))

    of_both = [
        run("config", "show", "--json", "-c", file).data
        for file in (str(again), configured(more=more))
    ]
    assert "very-secret" not in first.out
    assert "linked_test_token" not in first.out
    assert "\u202e" not in first.out
    assert second.out == re.sub("  # a secret that line .*|# .{SECRET.*\n", "", first.out)
    assert of_both[0] == of_both[1]


def test_config_schema_is_the_plain_schema(run):
    ran = run("config", "schema")

    assert ran.code == 0
    assert ran.out == (ROOT / "config.schema.json").read_text(encoding="utf-8")


# ── what surrounds it ────────────────────────────────────────────────────────────────────────────

HOOK = "receivers: [{name: hook, type: slack, url: 'https://hooks.example.com/x'}]"


@pytest.fixture
def file(configured):
    """A configuration of Linked API alone."""
    return configured()


@pytest.fixture
def surround(monkeypatch):
    """Set variables, given as NAME=VALUE."""
    monkeypatch.delenv("SSL_CERT_FILE")
    return lambda *variables: [monkeypatch.setenv(*v.split("=", 1)) for v in variables]


@pytest.mark.parametrize(
    ("variable", "words"),
    [
        ("ALL_PROXY=socks5://user:s3cr3t@127.0.0.1:1080", "SOCKS proxies are not supported"),
        ("HTTP_PROXY=http://s3cr3t:notaport", "must be an address such as"),
        ("SSL_CERT_FILE=/proc/nothing", "cannot be used: No such file or directory"),
        ("SSL_CERT_DIR=/proc/nothing", "cannot be used: there is no folder"),
    ],
)
def test_what_surrounds_it_and_cannot_be_used_is_one_line(run, file, surround, variable, words):
    surround(variable)

    for command in (("run",), ("check",), ("config", "check")):
        ended = run(*command, "--config", file)

        assert ended.code == 2
        assert ended.out == ""
        (line,) = ended.err.splitlines()
        assert variable.partition("=")[0] in line
        assert words in line
        assert "s3cr3t" not in line


def test_what_nothing_needs_is_not_read(run, configured, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "socks5://127.0.0.1:1080")  # no address begins with https

    assert run("config", "check", "--config", configured()).code == 0
    assert run("config", "check", "--config", configured(more=HOOK)).code == 2

    monkeypatch.setenv("NO_PROXY", "hooks.example.com")
    assert run("config", "check", "--config", configured(more=HOOK)).code == 0


def test_an_exemption_that_cannot_be_read_is_a_warning(run, configured, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "localhost,fd00::/8,http://x")

    ended = run("config", "check", "--config", configured())

    assert ended.code == 0
    assert ended.err.startswith("warning: NO_PROXY: entry 3 is left out")


def test_a_file_that_a_receiver_needs_is_looked_for(run, configured):
    more = (
        "receivers: [{name: mail, type: email, host: x, ca_file: /proc/nothing,"
        " from: a@example.com, to: [b@example.com]}]"
    )

    ended = run("config", "check", "--config", configured(more=more))

    assert ended.code in (1, 2)
    assert "ca_file /proc/nothing cannot be used" in ended.err

from pathlib import Path

import pytest

from monitor.config import ConfigError, load
from monitor.core.secret import Secret

from .conftest import WORKSPACE

SLACK_URL = "https://hooks.slack.com/services/x"
SMTP_URL = "smtp://me%40example.com:p%40ss@mail.example.com"


def loaded(**environ):
    return load(None, {"LINKED_API_TOKEN": "abc"} | environ)


def error_of(**environ):
    with pytest.raises(ConfigError) as caught:
        loaded(**environ)
    return str(caught.value)


def test_a_token_alone_makes_a_monitor():
    config = load(None, {"LINKED_API_TOKEN": " abc\n"})

    (workspace,) = config.workspaces
    assert (workspace.name, workspace.token) == ("default", Secret("abc"))
    assert config.receivers == ()


@pytest.mark.parametrize("value", ['"abc"', "'abc'", "`abc`"])
def test_quotes_around_a_variable_are_noticed(value):
    (warning,) = load(None, {"LINKED_API_TOKEN": value}).warnings

    assert warning == "LINKED_API_TOKEN: is in quotes that are part of it; leave them out"


def test_the_token_may_stand_in_a_file(tmp_path):
    (tmp_path / "token").write_text("abc\n")

    config = load(None, {"LINKED_API_TOKEN_FILE": str(tmp_path / "token")})

    assert config.workspaces[0].token_file == tmp_path / "token"


def test_slack_and_mail_become_receivers():
    mail = {"SMTP_URL": SMTP_URL, "ALERT_EMAIL_TO": "a@example.com, b@example.com"}

    slack, email = loaded(SLACK_WEBHOOK_URL=SLACK_URL, **mail).receivers

    assert (slack.name, slack.type, slack.url) == ("slack", "slack", Secret(SLACK_URL))
    assert (email.name, email.type) == ("email", "email")
    assert (email.host, email.port, email.tls) == ("mail.example.com", 587, "starttls")
    assert email.username == "me@example.com"
    assert email.password == Secret("p@ss")
    assert email.from_ == "me@example.com"
    assert tuple(email.to) == ("a@example.com", "b@example.com")


SMTP_FORM = "SMTP_URL: must be smtp://user:password@host:587 or smtps://user:password@host:465"


@pytest.mark.parametrize(
    ("url", "port", "tls"),
    [
        ("smtps://mail.example.com", 465, "tls"),
        ("smtps://mail.example.com:2465", 2465, "tls"),
        ("smtp://mail.example.com:25?tls=none", 25, "none"),
        ("SMTP://mail.example.com/?tls=tls", 587, "tls"),
        ("smtp://[::1]:2525", 2525, "starttls"),
    ],
)
def test_an_smtp_url_says_how_to_connect(url, port, tls):
    (email,) = loaded(SMTP_URL=url, ALERT_EMAIL_TO="a@example.com").receivers

    assert (email.port, email.tls) == (port, tls)
    assert email.username is None
    assert email.from_ == "a@example.com"


def test_signs_in_the_login_of_an_smtp_url_are_percent_encoded():
    url = "smtp://monitor:12%2F3%2B4%40%25%C3%A9:+&@smtp.example.com:587"

    (email,) = loaded(SMTP_URL=url, ALERT_EMAIL_TO="a@example.com").receivers

    assert (email.host, email.username) == ("smtp.example.com", "monitor")
    assert email.password.reveal() == "12/3+4@%é:+&"


@pytest.mark.parametrize(
    "url",
    [
        *("smtp://me:12/hush+4@smtp.example.com:587", "smtp://me:hush?x@smtp.example.com"),
        *("smtp://me:hush#x@smtp.example.com", "smtp://me:hu@sh@smtp.example.com"),
        *("smtp://me:hush%@smtp.example.com", "smtp://me:hush%ff@smtp.example.com"),
        *("smtp://me:hu sh@smtp.example.com", "smtp://smtp.example.com/hush"),
        *("smtp://smtp.example.com?tls=hush", "smtp://smtp.example.com?hush=1"),
        *("smtp://smtp.example.com:25:hush", "smtp://smtp.example.com#hush", "smtp://hush@"),
    ],
)
def test_an_smtp_url_that_would_be_read_in_part_is_refused_and_not_repeated(url):
    error = error_of(SMTP_URL=url, ALERT_EMAIL_TO="a@example.com")

    assert error.startswith(
        f"{SMTP_FORM} and no more than that; write @, /, ?, # and % in the user"
    )
    assert "hush" not in error


def test_the_sender_of_mail_can_be_named():
    mail = {"ALERT_EMAIL_TO": "a@example.com", "ALERT_EMAIL_FROM": "monitor@example.com"}

    assert loaded(SMTP_URL=SMTP_URL, **mail).receivers[0].from_ == "monitor@example.com"


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"LINKED_API_TOKEN": ""}, "nothing is configured: set LINKED_API_TOKEN, or name a file "),
        ({"SMTP_URL": "smtp://mail"}, "SMTP_URL: needs ALERT_EMAIL_TO as well"),
        ({"SMTP_URL": "smtp://mail", "ALERT_EMAIL_TO": " , "}, "SMTP_URL: needs ALERT_EMAIL_TO"),
        ({"ALERT_EMAIL_TO": "a@example.com"}, "ALERT_EMAIL_TO: needs SMTP_URL as well"),
        ({"SMTP_URL": "mail:25", "ALERT_EMAIL_TO": "a@example.com"}, SMTP_FORM),
        ({"SMTP_URL": "http://mail", "ALERT_EMAIL_TO": "a@example.com"}, SMTP_FORM),
        ({"SMTP_URL": "smtp://", "ALERT_EMAIL_TO": "a@example.com"}, SMTP_FORM),
        ({"SMTP_URL": "smtp://mail:many", "ALERT_EMAIL_TO": "a@example.com"}, SMTP_FORM),
        ({"SMTP_URL": "smtp://[mail", "ALERT_EMAIL_TO": "a@example.com"}, SMTP_FORM),
        ({"SLACK_WEBHOOK_URL": "ftp://hooks"}, "SLACK_WEBHOOK_URL: "),
        ({"LINKED_API_TOKEN_FILE": "x"}, "LINKED_API_TOKEN: has both a token and a token_file"),
        ({"LINKED_API_TOKEN": "a\nb"}, "LINKED_API_TOKEN: holds a line break"),
        ({"SLACK_WEBHOOK_URL": "x" * 8193}, "SLACK_WEBHOOK_URL: must have 8192 or fewer"),
        ({"LINKED_API_TOKEN": "a b"}, "LINKED_API_TOKEN: the token holds spaces"),
        ({"LINKED_API_TOKEN": "a\udcff"}, "LINKED_API_TOKEN: is not UTF-8 text"),
        ({"LINKED_API_BASE_URL": "ftp://api"}, "LINKED_API_BASE_URL: must start with https://"),
        ({"LINKED_API_BASE_URL": "http://api"}, "LINKED_API_BASE_URL: must start with https://"),
        ({"LINKEDAPI_MONITOR_STORAGE_URL": "mysql://db"}, "LINKEDAPI_MONITOR_STORAGE_URL: must"),
        ({"LINKEDAPI_MONITOR_LOG_LEVEL": "loud"}, "LINKEDAPI_MONITOR_LOG_LEVEL: must be debug"),
        ({"LINKEDAPI_MONITOR_DEFAULT_LISTEN": "x"}, "LINKEDAPI_MONITOR_DEFAULT_LISTEN: must be "),
        ({"LINKEDAPI_MONITOR_LISTEN": "[:::]:1"}, "LINKEDAPI_MONITOR_LISTEN: must be HOST:PORT"),
        ({"LINKEDAPI_MONITOR_LISTEN": "here"}, "LINKEDAPI_MONITOR_LISTEN: must be HOST:PORT"),
        ({"LINKEDAPI_MONITOR_LISTEN": "9464"}, "LINKEDAPI_MONITOR_LISTEN: must be HOST:PORT"),
        ({"LINKEDAPI_MONITOR_LISTEN": ":9464"}, "LINKEDAPI_MONITOR_LISTEN: must be HOST:PORT"),
    ],
)
def test_what_is_wrong_names_its_variable(environ, expected):
    assert error_of(**environ).startswith(expected)


def test_three_variables_outdo_the_file(load_text):
    config = load_text(
        WORKSPACE
        + "linked_api: {timeout: 10s, base_url: 'https://old'}\nweb:\nstorage: {keep: 9d}",
        LINKED_API_BASE_URL="http://127.0.0.1:8080",
        LINKEDAPI_MONITOR_LISTEN="0.0.0.0:9464",
        LINKEDAPI_MONITOR_STORAGE_URL="sqlite:////data/monitor.db",
    )

    assert config.linked_api.base_url == "http://127.0.0.1:8080"
    assert str(config.linked_api.timeout) == "10s"
    assert config.web.listen == "0.0.0.0:9464"
    assert config.storage.url.reveal() == "sqlite:////data/monitor.db"
    assert str(config.storage.keep) == "9d"


def test_what_outdoes_the_file_is_named(load_text):
    config = load_text(
        WORKSPACE
        + "web: {listen: '127.0.0.1:1'}\nstorage: {url_file: nowhere}\nlog: {level: null}",
        LINKEDAPI_MONITOR_LISTEN="127.0.0.1:2",
        LINKEDAPI_MONITOR_STORAGE_URL="sqlite:////data/monitor.db",
        LINKEDAPI_MONITOR_LOG_LEVEL="WARNING",
        LINKEDAPI_MONITOR_LOG_FORMAT="console",
    )

    assert config.overridden == {
        "web.listen": "LINKEDAPI_MONITOR_LISTEN",
        "storage.url": "LINKEDAPI_MONITOR_STORAGE_URL",
    }
    assert (config.log.level, config.log.format) == ("warning", "console")


PACKAGED = {
    "LINKEDAPI_MONITOR_DEFAULT_STORAGE_URL": "sqlite:////data/monitor.db",
    "LINKEDAPI_MONITOR_DEFAULT_LISTEN": "[::]:9464",
}


def test_what_a_package_says_is_weaker_than_the_file(load_text, tmp_path):
    (tmp_path / "url").write_text("postgresql://db.example.com/monitor?sslmode=require\n")

    config = load_text(
        WORKSPACE + "storage: {url_file: url}\nweb: {listen: '127.0.0.1:1'}", **PACKAGED
    )

    assert config.storage.url.reveal().startswith("postgresql://db.example.com")
    assert config.web.listen == "127.0.0.1:1"
    assert config.overridden == {}


def test_what_a_package_says_counts_where_nobody_says_more(load_text):
    environ = PACKAGED | {"LINKEDAPI_MONITOR_LISTEN": "127.0.0.1:2"}

    config = load_text(WORKSPACE + "storage: {keep: 9d, url: null}\nweb:", **environ)

    assert config.storage.url.reveal() == "sqlite:////data/monitor.db"
    assert config.web.listen == "127.0.0.1:2"
    assert loaded(**PACKAGED).web.listen == "[::]:9464"


def test_a_variable_outdoes_the_file_of_a_secret(load_text):
    config = load_text(
        WORKSPACE + "storage: {url_file: nowhere}",
        LINKEDAPI_MONITOR_STORAGE_URL="sqlite:////data/monitor.db",
    )

    assert config.storage.url.reveal() == "sqlite:////data/monitor.db"


@pytest.mark.parametrize(
    ("web", "expected"),
    [(" here", "2: web: must hold keys and values"), ("\n  zzz: 1", "3: web.zzz: unknown key")],
)
def test_what_is_wrong_beside_a_variable_keeps_its_line(problems_of, web, expected):
    problems = problems_of(f"{WORKSPACE}web:{web}", LINKEDAPI_MONITOR_LISTEN="0.0.0.0:1")

    assert problems == [expected]


def test_what_a_file_leaves_out_comes_from_the_environment(load_text):
    environ = {"LINKED_API_TOKEN": "abc", "SLACK_WEBHOOK_URL": SLACK_URL}

    config = load_text("poll: {every: 5m}\nfallback: slack", **environ)

    assert config.workspaces[0].token == Secret("abc")
    assert str(config.workspaces[0].poll.every) == "5m"
    assert config.receivers[0].name == "slack"


def test_what_a_file_says_is_not_added_to_and_what_does_not_count_is_said(load_text):
    environ = {"LINKED_API_TOKEN": "abc", "SLACK_WEBHOOK_URL": SLACK_URL}

    config = load_text("workspaces: [{token: xyz}]\nreceivers: []", **environ)

    assert config.findings.notes[:2] == (
        "LINKED_API_TOKEN: is not used: the file has workspaces of its own",
        "SLACK_WEBHOOK_URL: is not used: the file has receivers of its own",
    )
    config = load_text("workspaces: [{token: '${LINKED_API_TOKEN}'}]", **environ)
    assert config.findings.notes == ()
    config = load_text("workspaces: [{token: xyz}]\nreceivers: []", **environ)

    assert [workspace.token for workspace in config.workspaces] == [Secret("xyz")]
    assert config.receivers == ()


# ── secrets in files ─────────────────────────────────────────────────────────────────────────────


def test_secrets_may_stand_in_files_beside_the_configuration(load_text, tmp_path):
    (tmp_path / "slack").write_text(f"{SLACK_URL}\n")
    (tmp_path / "metrics").write_text("hush-hush-hush-hush\n")

    config = load_text(
        WORKSPACE
        + "receivers: [{name: ops, type: slack, url_file: slack}]\n"
        + f"web: {{metrics_token_file: {tmp_path}/metrics}}\n"
    )

    assert config.receivers[0].url == Secret(SLACK_URL)
    assert config.web.metrics_token == Secret("hush-hush-hush-hush")


def test_a_secret_that_is_null_is_as_if_it_were_not_there(load_text, tmp_path):
    (tmp_path / "slack").write_text(SLACK_URL)

    config = load_text(
        WORKSPACE
        + "receivers: [{name: ops, type: slack, url: null, url_file: slack}]\n"
        + "web: {metrics_token: null, metrics_token_file: null}\n"
    )

    assert config.receivers[0].url == Secret(SLACK_URL)
    assert config.web.metrics_token is None


def test_a_token_file_is_found_beside_the_configuration_and_left_for_later(load_text, tmp_path):
    (tmp_path / "token").write_text("abc\n")

    (workspace,) = load_text("workspaces: [{token_file: token}]").workspaces

    assert workspace.token is None
    assert workspace.token_file == tmp_path / "token"


def test_paths_of_files_start_beside_the_configuration(load_text, tmp_path):
    config = load_text(
        WORKSPACE
        + """linked_api: {ca_file: api.pem}
receivers:
  - {name: a, type: email, host: mail, from: a@b.example, to: [a@b.example], ca_file: tls/ca.pem}
  - {name: b, type: email, host: mail, from: a@b.example, to: [a@b.example], ca_file: /etc/ca.pem}
"""
    )

    assert config.linked_api.ca_file == tmp_path / "api.pem"
    assert [receiver.ca_file for receiver in config.receivers] == [
        tmp_path / "tls" / "ca.pem",
        Path("/etc/ca.pem"),
    ]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (b"\n", "the file is empty"),
        (b"\xff", "the file is not UTF-8 text"),
        (b"x" * 65537, "the file is larger than 64 KiB"),
        (b"x" * 8193, "the file must have 8192 or fewer characters"),
        (b"sixteen-letters!\nsixteen-letters!", "the file holds a line break or another"),
    ],
)
def test_a_file_without_a_secret_is_refused(problems_of, tmp_path, content, reason):
    (tmp_path / "secret").write_bytes(content)

    problems = problems_of(WORKSPACE + "web: {metrics_token_file: secret}")

    (problem,) = problems
    assert problem.startswith(f"2: web.metrics_token_file: {reason}")


def test_quotes_and_white_space_around_what_nobody_sees_are_noticed(warnings_of, tmp_path):
    (tmp_path / "quoted").write_text("'a-token-in-quotes'\n")
    (tmp_path / "spaced").write_text("a-token-and-a-space \n")

    warnings = warnings_of(
        """workspaces:
  - {name: a, token_file: quoted, labels: {owner: "jane "}}
  - {name: b, token: '"linked_abc"'}
  - {name: c, token: '${TOKEN}'}
web: {metrics_token_file: spaced}
""",
        TOKEN="`linked_def`\n",
    )

    assert [warning.partition(";")[0] for warning in sorted(warnings)] == [
        "2: workspaces[0].labels.owner: begins or ends with white space",
        "2: workspaces[0].token_file: is in quotes that are part of it",
        "3: workspaces[1].token: is in quotes that are part of it",
        "4: workspaces[2].token: is in quotes that are part of it",
        "5: web.metrics_token_file: begins or ends with white space",
    ]


@pytest.mark.parametrize("value", ["monitor\n", "monitor\r\n"])
def test_a_name_keeps_no_line_break(load_text, problems_of, value):
    mail = WORKSPACE + (
        "receivers:\n  - {name: m, type: email, host: h, from: a@example.com, to: [a@example.com],"
        " username: '${NAME}', password: p}"
    )

    assert load_text(mail, NAME=value).receivers[0].username == "monitor"
    assert problems_of(mail, NAME=f"{value}x") == [
        "3: receivers[0].username: holds a line break or another character that cannot be seen"
    ]

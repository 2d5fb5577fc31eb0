import re

import pytest
from harness.placeholders import placeholders

from monitor.config import load, show
from monitor.config.settings import Findings

from .conftest import WORKSPACE

TOKEN = "linked_token-of-acme"


@pytest.fixture
def shown(tmp_path):
    """Shows a text as if it were the file config.yaml; what is shown loads as the text itself."""

    def shows(text, **environ):
        file, again = tmp_path / "config.yaml", tmp_path / "again.yaml"
        file.write_text(text)
        before = load(file, environ)
        lines = show(file, environ)
        again.write_text(lines)
        after = load(again, environ | placeholders(lines, before))
        assert after.with_findings(Findings()) == before.with_findings(Findings())
        return lines

    return shows


def line_of(lines, start):
    (line,) = (
        line.strip(" -") for line in lines.splitlines() if line.strip(" -").startswith(start)
    )
    return line


def test_what_is_written_with_variables_and_files_stays_so(shown, tmp_path):
    (tmp_path / "hook").write_text("https://hooks.slack.com/services/x")
    (tmp_path / "token").write_text("abc")

    lines = shown(
        """
workspaces:
  - {name: "${NAME}", token: "${TOKEN}", labels: {team: "${TEAM:-none} of $${x}"}}
  - {name: b, token_file: token}
linked_api: {requests_per_minute: "${RATE}"}
receivers: [{name: ops, type: slack, url_file: ./hook}]
routes: [{to: "${TO}"}]
""",
        NAME="acme",
        TOKEN="abc1",
        RATE="30",
        TO="ops",
    )

    assert line_of(lines, "name: ${") == "name: ${NAME}"
    assert line_of(lines, "token:") == "token: ${TOKEN}"
    assert line_of(lines, "token_file:") == "token_file: token"
    assert line_of(lines, "team:") == "team: ${TEAM:-none} of $${x}"
    assert line_of(lines, "requests") == "requests_per_minute: ${RATE}"
    assert line_of(lines, "url_file:") == "url_file: ./hook"
    assert line_of(lines, "to:") == "to: ${TO}"
    assert "SECRET" not in lines


def test_a_secret_that_is_written_is_a_variable_with_a_comment(shown):
    lines = shown(
        """
workspaces:
  - {name: a, token: linked_1}
  - {name: b, token: "${B:-linked_2}"}
  - {name: c, token: linked_1}
linked_api: {proxy: "http://me:${PASSWORD}@127.0.0.1:3128"}
receivers:
  - name: crm
    type: webhook
    url: https://crm.example/${KEY}
    secret: whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw
    headers: {X-Key: hunter2hunter2}
""",
        KEY="key-key-key",
        PASSWORD="hunter3",
        B="linked_9",
    )

    notes = re.findall(r"([\w-]+): \$\{(SECRET_\d)\}  # a secret that line (\d+) of", lines)
    assert notes == [
        ("token", "SECRET_1", "3"),
        ("token", "SECRET_2", "4"),
        ("token", "SECRET_1", "3"),
        ("proxy", "SECRET_3", "6"),
        ("url", "SECRET_4", "10"),
        ("secret", "SECRET_5", "11"),
        ("X-Key", "SECRET_6", "12"),
    ]
    assert not re.search("linked_[0-9]|hunter|whsec|crm.example", lines)


def test_a_variable_of_the_file_is_never_taken_for_one_of_ours(shown):
    lines = shown(
        "workspaces:\n  - {name: a, token: linked_1}\n"
        "  - {name: b, token: '${SECRET_1}', labels: {c: 'is $${SECRET_3}'}}\n"
        "  - {name: c, token: linked_2}",
        SECRET_1="linked_3",
    )

    assert "token: ${SECRET_1}\n" in lines
    assert "token: ${SECRET_2}  # " in lines
    assert "token: ${SECRET_4}  # " in lines
    assert "c: is $${SECRET_3}\n" in lines


def test_what_only_the_environment_says_is_its_variable(tmp_path):
    environ = {
        "LINKED_API_TOKEN": TOKEN,
        "SLACK_WEBHOOK_URL": "https://hooks.slack.com/services/x",
        "SMTP_URL": "smtp://me:hunter2@smtp.example.com",
        "ALERT_EMAIL_TO": "a${b}@example.com, c@example.com",
        "LINKEDAPI_MONITOR_LISTEN": "127.0.0.1:1",
        "LINKEDAPI_MONITOR_DEFAULT_STORAGE_URL": "sqlite:////data/$${x}.db",
    }
    lines = show(None, environ)

    assert line_of(lines, "token:") == "token: ${LINKED_API_TOKEN}"
    assert line_of(lines, "url: ${SL") == "url: ${SLACK_WEBHOOK_URL}"
    assert line_of(lines, "password:") == "password: ${SECRET_1}  # a secret that SMTP_URL holds"
    assert line_of(lines, "a$") == "a$${b}@example.com"
    assert line_of(lines, "listen:") == "listen: ${LINKEDAPI_MONITOR_LISTEN}"
    assert line_of(lines, "url: ${LI") == "url: ${LINKEDAPI_MONITOR_DEFAULT_STORAGE_URL}"
    again = tmp_path / "again.yaml"
    again.write_text(lines)
    before, after = load(None, environ), load(again, environ | {"SECRET_1": "hunter2"})
    assert after.with_findings(Findings()) == before.with_findings(Findings())


def test_a_variable_that_overrides_a_secret_of_the_file_is_shown_in_its_place(shown, tmp_path):
    (tmp_path / "url").write_text("postgresql://a:b@127.0.0.1/c")

    for key in ("url: 'postgresql://a:hunter2@127.0.0.1/c'", "url_file: url", "url: '${OLD}'"):
        lines = shown(
            f"{WORKSPACE}storage: {{{key}}}",
            OLD="sqlite:///x",
            LINKEDAPI_MONITOR_STORAGE_URL="postgresql://me:hunter2@127.0.0.1/d",
        )

        assert "url: ${LINKEDAPI_MONITOR_STORAGE_URL}\n" in lines
        assert "hunter2" not in lines


@pytest.mark.parametrize(
    "text",
    ["no", "0o17", "1e3", "+.inf", "22:00", "a: b # c", "- x", "{a}", "*x", "ÄÖ 日本 🎉", "'\\\"",
     "\\u202e\\u2066 x", "a\\\\tb", "$$${x", "$${", "null", "~", "=", "<<", "-", "\\u00a0"],
)  # fmt: skip
def test_any_text_comes_back_as_it_was(shown, text):
    shown(f'workspaces:\n  - token: abc\n    labels:\n      a: "{text}"')


def test_rhythms_come_back_as_they_were(shown):
    shown(
        """
timezone: Europe/Berlin
poll: {cron: "0 8 * * *"}
workspaces:
  - {name: a, token: x}
  - {name: b, token: y, poll: {every: 5m}}
  - {name: c, token: z, poll: {cron: "1 9 * * *", timezone: UTC, jitter: 1s}}
"""
    )

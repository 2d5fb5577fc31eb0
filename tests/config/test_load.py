from pathlib import Path

import pytest
from harness.packages import installed
from pydantic import ValidationError

from monitor.config import ConfigError, load, schema
from monitor.core.duration import Duration
from monitor.core.model import Cause, Scope
from monitor.core.policy import IncidentPolicy
from monitor.core.secret import Secret

from .conftest import WORKSPACE


def test_a_token_is_all_that_a_file_needs(load_text):
    config = load_text("workspaces: [{token: abc}]")

    (workspace,) = config.workspaces
    assert (workspace.name, workspace.token) == ("default", Secret("abc"))
    assert config.incidents == IncidentPolicy()
    assert config.receivers == config.routes == config.warnings == ()
    assert config.fallback is None
    assert config.timezone == "UTC"


def test_every_section_reaches_its_settings(load_text):
    config = load_text(
        """
workspaces:
  - {name: acme, token: abc, labels: {team: growth}}
linked_api: {timeout: 10s, requests_per_minute: 30}
poll: {every: 2m}
incidents: {open_after: 2, remind: [], flapping: {changes: 3}}
reconnection: {create: never}
receivers: [{name: ops, type: slack, url: "https://hooks.slack.com/services/x"}]
routes:
  - {match: {cause: frozen, account: ["Jane *", a-1], scope: account}, to: ops, continue: true}
  - {to: [ops]}
fallback: ops
delivery: {deadline: 1h}
storage: {url: "sqlite:///x.db", keep: 30d}
web: {listen: "0.0.0.0:9000", metrics_token: hush}
metrics: {per_account: unhealthy, account_names: false}
log: {level: debug, format: console}
timezone: Europe/Berlin
"""
    )

    assert config.workspaces[0].labels == {"team": "growth"}
    assert config.linked_api.requests_per_minute == 30
    assert config.incidents.open_after == 2
    assert config.incidents.flapping.changes == 3
    assert config.reconnection.create == "never"
    assert [receiver.name for receiver in config.receivers] == ["ops"]
    first, second = config.routes
    assert first.match.cause == (Cause.FROZEN,)
    assert first.match.account == ("Jane *", "a-1")
    assert first.match.scope == (Scope.ACCOUNT,)
    assert (first.to, first.continue_, second.continue_) == (("ops",), True, False)
    assert config.fallback == "ops"
    assert config.delivery.deadline == Duration.parse("1h")
    assert config.storage.keep == Duration.parse("30d")
    assert (config.web.port, config.web.metrics_token) == (9000, Secret("hush"))
    assert (config.metrics.per_account, config.metrics.account_names) == ("unhealthy", False)
    assert (config.log.level, config.log.format) == ("debug", "console")
    assert config.timezone == "Europe/Berlin"


def test_a_workspace_lays_its_poll_settings_over_the_common_ones(load_text):
    config = load_text(
        """
workspaces:
  - {name: plain, token: a}
  - {name: slow, token: b, poll: {every: 10m}}
poll: {every: 2m, jitter: 1s}
"""
    )

    plain, slow = (workspace.poll for workspace in config.workspaces)
    assert (str(plain.every), str(plain.jitter)) == ("2m", "1s")
    assert (str(slow.every), str(slow.jitter)) == ("10m", "1s")


def test_a_workspaces_own_rhythm_takes_the_place_of_the_common_one(load_text):
    workspaces = """
workspaces:
  - {name: plain, token: a}
  - {name: often, token: b, poll: {every: 30s}}
  - {name: early, token: c, poll: {cron: "0 6 * * *", timezone: Asia/Kolkata}}
  - {name: calm, token: d, poll: {jitter: 0s}}
"""

    crons = load_text(workspaces + "poll: {cron: '0 8 * * *', timezone: Europe/Berlin}")
    spans = load_text(workspaces + "poll: {every: 2m}\ntimezone: Europe/Vienna")

    assert [(one.poll.cron, one.poll.timezone) for one in crons.workspaces] == [
        ("0 8 * * *", "Europe/Berlin"),
        (None, "Europe/Berlin"),
        ("0 6 * * *", "Asia/Kolkata"),
        ("0 8 * * *", "Europe/Berlin"),
    ]
    assert str(crons.workspaces[1].poll.every) == "30s"
    assert [(one.poll.cron, str(one.poll.every)) for one in spans.workspaces][::3] == [
        (None, "2m"),
        (None, "2m"),
    ]
    assert spans.workspaces[2].poll.cron == "0 6 * * *"
    assert str(crons.workspaces[3].poll.jitter) == "0s"


def test_a_crontab_goes_by_the_time_zone_of_the_file_unless_it_has_its_own(load_text):
    config = load_text(
        """
workspaces:
  - {name: a, token: a, poll: {cron: "0 8 * * *"}}
  - {name: b, token: b, poll: {cron: "0 8 * * *", timezone: UTC}}
timezone: Europe/Berlin
"""
    )

    hours = [one.poll.next_due(1_795_435_200_000_000) // 3_600_000_000 % 24 for one in
             config.workspaces]  # fmt: skip
    assert hours == [7, 8]


def test_owners_of_accounts_reach_their_settings(load_text):
    config = load_text(
        """
workspaces: [{name: acme, token: a, renamed_from: old}]
accounts:
  - {match: {workspace: acme, name: "Jane *"}, labels: {owner: jane@example.com}}
  - {match: {id: [a1, a2], url: linkedin.com/in/x}, ignore: true}
  - {labels: {tier: gold}, ignore: false}
receivers:
  - {name: own, type: email, host: h, from: a@example.com, to: {label: owner}}
"""
    )

    jane, ignored, rest = config.accounts
    assert config.workspaces[0].renamed_from == "old"
    assert (jane.match.workspace, jane.match.name) == (("acme",), ("Jane *",))
    assert (jane.labels, jane.ignore) == ({"owner": "jane@example.com"}, None)
    assert (ignored.match.id, ignored.match.url) == (("a1", "a2"), ("linkedin.com/in/x",))
    assert (ignored.ignore, rest.ignore) == (True, False)
    assert config.receivers[0].address_label == "owner"
    assert config.warnings == ()


@pytest.mark.parametrize(
    ("more", "warns"),
    [
        ("", True),
        ("accounts: [{labels: {team: x}}]", True),
        ("accounts: [{labels: {owner: jane@example.com}}]", False),
    ],
)
def test_a_receiver_that_no_label_addresses_is_odd(load_text, more, warns):
    receiver = "{name: own, type: email, host: h, from: a@example.com, to: {label: owner}}"
    config = load_text(f"{WORKSPACE}receivers: [{receiver}]\n{more}")

    said = (
        "2: receivers[0].to.label: will never hear anything: no workspace and no entry of accounts"
    )
    assert [one.partition("config.yaml:")[2] for one in config.warnings] == warns * [
        f"{said} has the label owner"
    ]


def test_owners_of_a_workspace_that_is_not_there_are_odd(load_text):
    config = load_text(
        WORKSPACE + "accounts:\n  - match: {workspace: [defalt, 'x*']}\n    ignore: true"
    )

    assert [one.partition("config.yaml:")[2] for one in config.warnings] == [
        "3: accounts[0].match.workspace: no workspace is called 'defalt'; did you mean default?"
    ]


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


def test_secrets_may_stand_in_files_beside_the_configuration(load_text, tmp_path):
    (tmp_path / "slack").write_text("https://hooks.slack.com/services/x\n")
    (tmp_path / "metrics").write_text("hush\n")

    config = load_text(
        WORKSPACE
        + "receivers: [{name: ops, type: slack, url_file: slack}]\n"
        + f"web: {{metrics_token_file: {tmp_path}/metrics}}\n"
    )

    assert config.receivers[0].url.reveal() == "https://hooks.slack.com/services/x"
    assert config.web.metrics_token == Secret("hush")


def test_a_secret_that_is_null_is_as_if_it_were_not_there(load_text, tmp_path):
    (tmp_path / "slack").write_text("https://hooks.slack.com/services/x")

    config = load_text(
        WORKSPACE
        + "receivers: [{name: ops, type: slack, url: null, url_file: slack}]\n"
        + "web: {metrics_token: null, metrics_token_file: null}\n"
    )

    assert config.receivers[0].url.reveal() == "https://hooks.slack.com/services/x"
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


def test_the_secrets_are_all_there_to_be_redacted(load_text):
    config = load_text(
        """
workspaces: [{name: a, token: token-a}, {name: b, token: token-b}]
linked_api: {proxy: "http://me:proxy%20password@proxy:3128"}
receivers:
  - {name: ops, type: slack, url: "https://hooks.slack.com/services/x"}
web: {metrics_token: hush}
"""
    )

    assert {
        "token-a",
        "token-b",
        "http://me:proxy%20password@proxy:3128",
        "proxy%20password",
        "proxy password",
        "https://hooks.slack.com/services/x",
        "hush",
    } <= {secret.reveal() for secret in config.secrets()}


@pytest.mark.row(34)
def test_a_token_used_twice_is_worth_a_warning(load_text, tmp_path):
    (tmp_path / "token").write_text("abc\n")

    config = load_text(
        "workspaces:\n  - {name: a, token: abc}\n  - name: b\n    token_file: token\n"
    )

    (warning,) = config.warnings
    assert warning.endswith(
        "config.yaml:4: workspaces[1].token_file: is the token of workspaces[0] as well"
    )


@pytest.mark.parametrize(
    ("routes", "said"),
    [
        ("[{to: ops}]", None),
        ("[{to: ops, continue: true}, {match: {cause: frozen}, to: ops}]", None),
        ("[{match: {labels: {team: growth}}, to: ops}, {to: ops}]", None),
        (
            "[{match: {cause: frozen}, to: ops}]",
            (
                "routes: nobody is told of what none of them matches; end with one without match,"
                " or name a fallback"
            ),
        ),
        ("[{match: {cause: frozen}, to: ops}]\nfallback: ops", None),
        (
            "[{match: {}, to: ops}, {match: {cause: frozen}, to: ops}]",
            "routes[1]: is never asked: routes[0] matches everything; put that one last",
        ),
        (
            "[{match: {labels: {team: growht}}, to: ops}, {to: ops}]",
            "routes[0].match.labels.team: matches nothing: no label has this value",
        ),
        (
            "[{match: {labels: {taem: growth}}, to: ops}, {to: ops}]",
            (
                "routes[0].match.labels.taem: matches nothing: no workspace and no entry of"
                " accounts has the label taem; did you mean team?"
            ),
        ),
    ],
)
def test_routes_that_hear_nothing_and_events_that_nobody_hears_are_odd(load_text, routes, said):
    config = load_text(
        "workspaces: [{token: abc, labels: {team: growth}}]\n"
        f"receivers: [{{name: ops, type: log}}]\nroutes: {routes}\n"
    )

    assert [one.partition("config.yaml:3: ")[2] for one in config.warnings] == (
        [said] if said else []
    )


def test_a_route_for_a_workspace_that_is_not_there_is_worth_a_warning(load_text):
    config = load_text(
        """workspaces: [{name: acme, token: abc}]
receivers: [{name: ops, type: log}]
routes:
  - {match: {workspace: acne}, to: ops}
  - {match: {workspace: [acme, "b*"]}, to: ops}
  - {match: {workspace: ${NAME}}, to: ops}
""",
        NAME="elsewhere",
    )

    first, second, _ = (warning.partition("config.yaml:")[2] for warning in config.warnings)
    assert first == (
        "4: routes[0].match.workspace: no workspace is called 'acne'; did you mean acme?"
    )
    assert second == "6: routes[2].match.workspace: matches no workspace"


@pytest.mark.parametrize("url", ["http://localhost:8080", "http://127.0.0.1:1", "http://[::1]:1"])
def test_this_very_host_may_be_spoken_to_in_clear(load_text, url):
    config = load_text(
        WORKSPACE + f'linked_api: {{base_url: "{url}"}}\nreconnection: {{link_origins: ["{url}"]}}'
    )

    assert config.linked_api.base_url == url


def test_the_file_must_be_readable(tmp_path):
    for path, reason in (
        (tmp_path / "absent.yaml", "cannot be read: No such file or directory"),
        (tmp_path, "cannot be read: Is a directory"),
        (Path("a\0b"), "cannot be read: not a path"),
    ):
        with pytest.raises(ConfigError) as caught:
            load(path, {})
        assert str(caught.value) == f"{path}: {reason}"


def test_a_file_beyond_all_measure_is_not_read(tmp_path):
    file = tmp_path / "config.yaml"
    file.write_bytes(b"#" * (16 * 1024 * 1024 + 1))

    with pytest.raises(ConfigError, match="is larger than 16 MiB"):
        load(file, {})


def test_ten_thousand_workspaces_are_not_too_many(load_text):
    entries = "".join(
        f"  - name: w{number}\n    token: t{number}\n    labels: {{team: a, owner: b}}\n"
        f"    poll: {{every: 2m}}\n"
        for number in range(10_000)
    )

    assert len(load_text(f"workspaces:\n{entries}").workspaces) == 10_000


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

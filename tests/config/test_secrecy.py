import re
from pathlib import Path

import pytest

from monitor.config import ConfigError, load

from .conftest import WORKSPACE

HUSH = "hunter2hunter2hunter2"

PLACES = [
    "workspaces: [{token: SECRET, token_file: SECRET}]",
    "workspaces: [{name: a, token: [SECRET]}]",
    "workspaces: [{name: 'a SECRET', token: 'x y'}]",
    "workspaces: [{token: 'a SECRET'}]",
    "workspaces: SECRET",
    "workspaces:\n  token: SECRET",
    "workspaces: [{token:SECRET}]",
    WORKSPACE + "linked_api: {base_url: SECRET}",
    WORKSPACE + "linked_api: {base_url: 'https://me:SECRET@api'}",
    WORKSPACE + "linked_api: {proxy: SECRET}",
    WORKSPACE + "receivers: [{name: a, type: slack, url: SECRET}]",
    WORKSPACE + "receivers: [{name: a, type: slack, url: 'ftp://SECRET'}]",
    WORKSPACE + "receivers: [{name: a, type: slack, urll: SECRET}]",
    WORKSPACE + "receivers: [{name: a, type: webhook, url: SECRET, secret: [SECRET]}]",
    WORKSPACE + "receivers: [{name: a, type: webhook, url: 'https://x', secret: whsec_SECRET=}]",
    WORKSPACE + "receivers: [{name: a, type: email, password: SECRET}]",
    WORKSPACE + "receivers: [{name: a, type: email, password: {SECRET: SECRET}}]",
    WORKSPACE + "storage: {url: 'mysql://me:SECRET@db'}",
    WORKSPACE + "web: {metrics_token: {a: SECRET}}",
    WORKSPACE + "web: {metrics_token: *SECRET}",
    WORKSPACE + "web: {metrics_token: !SECRET}",
    WORKSPACE + "web: {metrics_token: %SECRET}",
    WORKSPACE + "web: {metrics_token: 'SECRET}",
    WORKSPACE + "https://SECRET/: x",
    "SECRET",
]


@pytest.mark.parametrize("text", PLACES)
def test_a_secret_in_its_place_is_not_repeated(load_text, text):
    with pytest.raises(ConfigError) as caught:
        load_text(text.replace("SECRET", HUSH))

    assert_silent(str(caught.value))


ANYWHERE = [
    "poll: {every: VALUE}",
    "timezone: VALUE",
    "fallback: VALUE",
    "incidents: {remind: [VALUE], open_after: VALUE}",
    "linked_api: {requests_per_minute: VALUE, timeout: VALUE, ca_file: VALUE, base_url: VALUE}",
    "reconnection: {create: VALUE, link_origins: [VALUE]}",
    "reconnection: {create: never, link_origins: ['https://a/VALUE']}",
    "receivers: [{name: VALUE, type: VALUE, link: VALUE, timezone: VALUE}]",
    "receivers: [{name: a, type: email, host: VALUE, port: VALUE, tls: VALUE}]",
    "receivers: [{name: a, type: email, host: x, from: VALUE, to: VALUE}]",
    "receivers: [{name: a, type: slack, url_file: VALUE}]",
    "routes: [{to: [VALUE], match: {cause: VALUE, scope: VALUE}, continue: VALUE}]",
    "storage: {url: VALUE, keep: VALUE}",
    "web: {listen: VALUE}",
    "metrics: {per_account: VALUE, account_names: VALUE}",
    "log: {level: VALUE}",
    "VALUE",
]


@pytest.mark.parametrize("value", [HUSH, f"{HUSH} 'x\"\\", f"60 {HUSH}"])
@pytest.mark.parametrize("text", ANYWHERE)
def test_what_a_variable_holds_is_not_repeated_wherever_it_stands(load_text, text, value):
    with pytest.raises(ConfigError) as caught:
        load_text(WORKSPACE + text.replace("VALUE", "${HUSH}"), HUSH=value)

    assert_silent(str(caught.value))


CREDENTIALS = [
    "linked_0123456789abcdef",
    "xoxb-1234567890-abcdefgh",
    "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "https://hooks.slack.com/services/T0/B0/very-secret",
    "d41d8cd98f00b204e9800998ecf8427e",
    "eyJhbGciOiJIUzI1NiJ9.e30.abc",
    "ghp_abcdefghijklmnop",
]


@pytest.mark.parametrize("credential", CREDENTIALS)
@pytest.mark.parametrize("text", [*ANYWHERE, "VALUE: 1", "poll: {VALUE: 1}", "fallback: VALUE"])
def test_what_looks_like_a_credential_is_not_repeated_wherever_it_was_typed(
    load_text, text, credential
):
    with pytest.raises(ConfigError) as caught:
        load_text(WORKSPACE + text.replace("VALUE", f"'{credential}'"))

    shown = str(caught.value)
    assert credential[6:16] not in shown.replace("such as https://app.linkedapi.io", "")


def test_a_credential_in_the_place_of_the_file_is_not_repeated():
    with pytest.raises(ConfigError, match=r"^\[hidden\]: cannot be read: No such file"):
        load(Path("linked_0123456789abcdef"), {})


def test_what_a_secrets_file_holds_is_not_repeated(problems_of, tmp_path):
    (tmp_path / "url").write_text(f"ftp://{HUSH}")

    problems = problems_of(WORKSPACE + "receivers: [{name: a, type: slack, url_file: url}]")

    assert_silent(" ".join(problems))


def test_the_whole_configuration_prints_without_secrets(load_text):
    config = load_text(
        f"workspaces: [{{token: {HUSH}}}]\nweb: {{metrics_token: {HUSH}}}\n"
        f"receivers: [{{name: a, type: slack, url: 'https://hooks.slack.com/services/{HUSH}'}}]"
    )

    assert_silent(f"{config} {config!r} {config.model_dump()} {config.model_dump_json()}")


def assert_silent(text):
    assert not re.search("hunter", text), text

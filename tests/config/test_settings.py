import pytest

from monitor.config.settings import PollSettings

from .conftest import WORKSPACE

NOON = 1_795_435_200_000_000


def test_the_next_poll_is_due_as_the_rhythm_says():
    every = PollSettings(every="90s")
    cron = PollSettings(cron="0 8 * * *", timezone="Asia/Kolkata")

    assert every.next_due(NOON) == NOON + 90_000_000
    assert every.rhythm == every.every
    assert cron.next_due(NOON) == cron.rhythm(NOON) == NOON + 52_200_000_000


def test_the_secrets_are_all_there_to_be_redacted(load_text):
    config = load_text(
        """
workspaces: [{name: a, token: token-a}, {name: b, token: token-b}]
linked_api: {proxy: "http://me:proxy%20password@proxy:3128"}
receivers:
  - {name: ops, type: slack, url: "https://hooks.slack.com/services/x"}
web: {metrics_token: hush-hush-hush-hush}
storage: {url: "sqlite:///x.db"}
"""
    )

    assert {secret.reveal() for secret in config.secrets()} == {
        *("token-a", "token-b", "hush-hush-hush-hush", "https://hooks.slack.com/services/x"),
        *("http://me:proxy%20password@proxy:3128", "proxy%20password", "proxy password"),
    }


@pytest.mark.parametrize(
    ("base_url", "simulated"),
    [
        ("https://api.linkedapi.io/v1", ()),
        ("http://127.0.0.1:8080/v1", ("http://127.0.0.1:8080",)),
    ],
)
def test_a_simulated_api_may_have_links_to_its_own_pages(load_text, base_url, simulated):
    config = load_text(WORKSPACE + f"linked_api: {{base_url: '{base_url}'}}")

    assert config.link_origins == ("https://app.linkedapi.io", *simulated)

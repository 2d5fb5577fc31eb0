from pathlib import Path

import pytest

from monitor import notifiers
from monitor.config import Config, load
from monitor.config.json_schema import schema

EXAMPLE = Path(__file__).parents[2] / "config.example.yaml"
ENVIRON = {
    "LINKED_API_TOKEN": "abc",
    "SLACK_WEBHOOK_URL": "https://hooks.slack.com/services/T0/B0/x",
    "SMTP_PASSWORD": "abc",
    "WEBHOOK_SECRET": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
}


@pytest.fixture(scope="module")
def example() -> Config:
    return load(EXAMPLE, ENVIRON)


def test_the_example_shows_a_receiver_of_every_type(example):
    assert {receiver.type for receiver in example.receivers} == set(notifiers.notifier_types())


@pytest.mark.parametrize(
    "section",
    ["linked_api", "poll", "incidents", "reconnection", "delivery", "storage", "web", "metrics",
     "log", "timezone"],
)  # fmt: skip
def test_the_example_shows_the_defaults(example, section):
    defaults = load(None, {"LINKED_API_TOKEN": "abc"})

    assert getattr(example, section) == getattr(defaults, section)


def test_the_example_shows_every_key():
    text = EXAMPLE.read_text()
    whole = schema()
    keys = {key for part in (whole, *whole["$defs"].values()) for key in part.get("properties", {})}
    of_secrets = {f"{key}_file" for key in keys}

    missing = {key for key in keys - of_secrets if f"{key}:" not in text}

    assert missing == set()

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from monitor.config import schema

EXAMPLE = Path(__file__).parents[2] / "config.example.yaml"


def receiver(word):
    whole = schema()
    for item in whole["properties"]["receivers"]["items"]["anyOf"]:
        if item["properties"]["type"] == {"const": word}:
            return whole["$defs"][item["$ref"].rpartition("/")[2]]
    raise AssertionError(word)


def test_the_schema_is_plain_json():
    assert json.loads(json.dumps(schema()))["title"] == "linkedapi-monitor"


def test_the_schema_knows_the_keys_of_every_type_of_receiver():
    assert {"name", "url", "url_file", "link"} <= receiver("slack")["properties"].keys()
    assert {"host", "port", "from", "to", "password_file"} <= receiver("email")["properties"].keys()


def test_unknown_keys_are_wrong_in_the_schema_too():
    assert schema()["additionalProperties"] is False
    assert receiver("slack")["additionalProperties"] is False


def test_a_secret_in_a_file_satisfies_the_schema():
    assert "url" not in receiver("slack").get("required", ())


def test_a_file_of_defaults_satisfies_the_schema():
    assert schema()["required"] == []


def complaints(text):
    """The locations that an independent validator complains about."""
    validator = jsonschema.Draft202012Validator(schema())
    errors = validator.iter_errors(yaml.safe_load(text))
    return sorted({"/".join(map(str, error.absolute_path)) for error in errors})


def test_the_schema_is_one():
    jsonschema.Draft202012Validator.check_schema(schema())


def test_the_example_satisfies_the_schema():
    assert complaints(EXAMPLE.read_text()) == []


MAIL = "name: own, type: email, host: h, from: a@example.com"


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "accounts: [{match: {name: ['Jane *', Joe], id: a}, labels: {owner: jane}}]",
        "accounts: [{ignore: true}]",
        "workspaces: [{name: a, token: x, renamed_from: b}]",
        "workspaces: [{token_file: x, poll: {cron: '0 8 * * *', timezone: UTC}}]",
        f"receivers: [{{{MAIL}, to: {{label: owner}}}}]",
        f"receivers: [{{{MAIL}, to: [ops@example.com]}}]",
    ],
)
def test_what_is_right_satisfies_the_schema(text):
    assert complaints(text) == []


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("acounts: []", ""),
        ("accounts: {}", "accounts"),
        ("accounts: [{labels: {owner: 5}}]", "accounts/0/labels/owner"),
        ("accounts: [{ignore: sometimes}]", "accounts/0/ignore"),
        ("accounts: [{match: {nme: x}}]", "accounts/0/match"),
        ("accounts: [{match: {name: 5}}]", "accounts/0/match/name"),
        ("workspaces: [{token: x, renamed_from: a b}]", "workspaces/0/renamed_from"),
        ("poll: {crn: x}", "poll"),
        ("poll: {cron: 5}", "poll/cron"),
        (f"receivers: [{{{MAIL}, to: {{lable: owner}}}}]", "receivers/0"),
        (f"receivers: [{{{MAIL}, to: {{label: ''}}}}]", "receivers/0"),
        (f"receivers: [{{{MAIL}, to: []}}]", "receivers/0"),
        ("metrics: {per_account: some}", "metrics/per_account"),
    ],
)
def test_what_is_wrong_breaks_the_schema_there(text, where):
    assert complaints(text) == [where]

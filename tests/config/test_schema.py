import json
import re
from pathlib import Path

import jsonschema
import pytest
import yaml

from monitor.config.json_schema import schema

WHOLE = schema()
EXAMPLE = Path(__file__).parents[2] / "config.example.yaml"


def complaints(text):
    """The locations that an independent validator complains about."""
    validator = jsonschema.Draft202012Validator(WHOLE)
    errors = validator.iter_errors(yaml.safe_load(text))
    return sorted({"/".join(map(str, error.absolute_path)) for error in errors})


def test_the_schema_is_one_in_plain_json():
    jsonschema.Draft202012Validator.check_schema(schema())

    assert json.loads(json.dumps(schema()))["title"] == "linkedapi-monitor"


def test_the_schema_has_a_name_that_is_no_address():
    assert re.fullmatch(r"urn:uuid:[0-9a-f-]{36}", WHOLE["$id"])


def test_the_schema_is_of_the_file_and_not_of_the_code():
    assert [part for part in WHOLE["$defs"].values() if {"title", "description"} & {*part}] == []


KEYS = [
    pytest.param(part, key, id=f"{name}.{key}")
    for name, part in {"": WHOLE, **WHOLE["$defs"]}.items()
    for key in part.get("properties", {})
]


@pytest.mark.parametrize(("part", "name"), KEYS)
def test_every_key_has_its_meaning_default_and_example(part, name):
    key = part["properties"][name]
    validator = jsonschema.Draft202012Validator({**key, "$defs": WHOLE["$defs"]})
    is_needed = name in {"workspaces", "url", "secret", *part.get("required", ())}

    assert key["description"].strip()
    assert key["examples"]
    assert is_needed or "default" in key or "\n\nDefault: " in key["description"]
    for value in (*key["examples"], *([key["default"]] if "default" in key else [])):
        validator.validate(value)


MAIL = "name: own, type: email, host: h, from: a@example.com"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(EXAMPLE.read_text(), id="the example"),
        "{}",
        "accounts: [{match: {name: ['Jane *', Joe], id: a}, labels: {owner: jane}}]",
        "accounts: [{ignore: true}]",
        "workspaces: [{name: a, token: x, renamed_from: b}]",
        "workspaces: [{token_file: x, poll: {cron: '0 8 * * *', timezone: UTC}}]",
        f"receivers: [{{{MAIL}, to: {{label: owner}}}}]",
        f"receivers: [{{{MAIL}, to: [ops@example.com], port: 25, password_file: x}}]",
        "receivers: [{name: ops, type: slack, url_file: x, link: none}]",
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
        ("receivers: [{name: ops, type: slack, url: 'https://x', urll: y}]", "receivers/0"),
        (f"receivers: [{{{MAIL}, to: {{lable: owner}}}}]", "receivers/0"),
        (f"receivers: [{{{MAIL}, to: {{label: ''}}}}]", "receivers/0"),
        (f"receivers: [{{{MAIL}, to: []}}]", "receivers/0"),
        ("metrics: {per_account: some}", "metrics/per_account"),
    ],
)
def test_what_is_wrong_breaks_the_schema_there(text, where):
    assert complaints(text) == [where]

"""What a webhook gets, held to the schema that is published."""

import json
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import pytest
from harness.core import NOON
from harness.notifications import changed_twice, every_notification, notification
from jsonschema import Draft202012Validator, ValidationError

from monitor.core.duration import Duration
from monitor.core.model import Cause, EventType
from monitor.notifiers import _payload
from monitor.notifiers._payload import payload

SCHEMA = json.loads(Path(__file__).parents[2].joinpath("docs/webhook.schema.json").read_text())


def strict(schema):
    """The same schema, which takes no key that it does not name."""
    schema = deepcopy(schema)
    for part in (schema, *schema["$defs"].values()):
        if "properties" in part:
            part["additionalProperties"] = False
    return schema


VALIDATOR = Draft202012Validator(strict(SCHEMA), format_checker=Draft202012Validator.FORMAT_CHECKER)


def sent(case):
    """What is sent of *case*, as its reader has it."""
    return json.loads(json.dumps(payload(case)))


def cases():
    yield from every_notification()
    yield changed_twice(acknowledged_by="jane", acknowledged_at=NOON)
    often = notification()
    recurring = {"times": 3, "times_within": Duration.parse("7d")}
    yield replace(often, incident=replace(often.incident, **recurring))
    yield replace(often, event=EventType.NOTICE, detail="could not be told")


def test_the_schema_is_one():
    Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("case", list(cases()), ids=lambda case: f"{case.event}")
def test_what_is_sent_is_what_the_schema_says(case):
    VALIDATOR.validate(sent(case))


def test_every_type_is_sent_and_no_other():
    kinds = {payload(case)["type"] for case in cases()}

    assert kinds == set(_payload.TYPES) == set(SCHEMA["properties"]["type"]["enum"])


@pytest.mark.parametrize(
    "change",
    [
        {"type": "incident.invented"},
        {"timestamp": 5},
        {"more": 1},
        {"data": None},
    ],
)
def test_the_schema_refuses_what_is_never_sent(change):
    with pytest.raises(ValidationError):
        VALIDATOR.validate({**sent(notification()), **change})


def test_the_schema_takes_keys_that_are_not_there_yet():
    Draft202012Validator(SCHEMA).validate({**sent(notification()), "more": 1})


def test_what_recurs_and_what_is_wrong_with_a_subscription_are_said_to_programs():
    case = notification(cause=Cause.SUBSCRIPTION)
    often = replace(case.incident, times=3, times_within=Duration.parse("7d"))

    incident = sent(replace(case, incident=often))["data"]["incident"]

    assert incident["recurrence"] == {"times": 3, "within_seconds": 604_800}
    assert incident["conditions"] == ["past_due", "seats"]


def test_the_schema_names_nothing_of_the_code():
    text = json.dumps(SCHEMA)

    assert '"_' not in text
    assert "/_" not in text


def test_only_a_notice_has_a_detail():
    explained = notification(cause=Cause.FROZEN, detail="past_due")

    assert sent(explained)["data"]["detail"] is None
    assert sent(replace(explained, event=EventType.NOTICE))["data"]["detail"] == "past_due"

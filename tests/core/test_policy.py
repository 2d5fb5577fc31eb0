"""What the owner of the accounts decided, and the cool-downs that nobody configures."""

import pytest
from harness.core import HOUR, MINUTE, NOON
from pydantic import TypeAdapter, ValidationError

from monitor.core.model import IntentOutcome
from monitor.core.policy import IncidentPolicy, ReconnectionPolicy, is_cooling_down


@pytest.mark.parametrize(
    "wrong",
    [
        {"open_after": 0},
        {"resolve_after": 1001},
        {"missing_after": 5, "missing_many_after": 4},
        {"group_over": 0},
        {"remind_max": -1},
        {"remind": ["0s"]},
        {"remind": ["366d"]},
        {"remind": ["1h"] * 51},
        {"blind_after": "25h"},
        {"remind_at": "24:00"},
        {"remind_at": "9:00"},
        {"remind_at": 540},
        {"flapping": {"changes": 1}},
        {"flapping": {"within": "31d"}},
        {"flapping": {"settle": "0s"}},
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        TypeAdapter(IncidentPolicy).validate_python(wrong)


@pytest.mark.parametrize("origin", ["app.linkedapi.io", "https://a/b", "ftp://a", "https://[b"])
def test_what_is_no_origin_is_refused(origin):
    assert ReconnectionPolicy(link_origins=("http://127.0.0.1:8080",))
    with pytest.raises(ValueError, match="must be origins such as"):
        ReconnectionPolicy(link_origins=(origin,))


@pytest.mark.parametrize("outcome", IntentOutcome)
def test_after_a_session_was_asked_for_its_account_cools_down(outcome):
    spans = {"needless": 0, "later": MINUTE, "limited": 6 * HOUR}
    span = spans.get(outcome, 2 * HOUR)

    cooling = [
        is_cooling_down(outcome, NOON, cooldown=2 * HOUR, now=NOON + span + more)
        for more in (-1, 0)
    ]

    assert cooling == [True, False]

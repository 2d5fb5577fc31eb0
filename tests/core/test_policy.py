"""What the owner of the accounts decided, and the cool-downs that nobody configures."""

import pytest
from harness.core import HOUR, MINUTE, NOON

from monitor.core.model import IntentOutcome
from monitor.core.policy import is_cooling_down


@pytest.mark.parametrize("outcome", IntentOutcome)
def test_after_a_session_was_asked_for_its_account_cools_down(outcome):
    spans = {"needless": 0, "later": MINUTE, "limited": 6 * HOUR}
    span = spans.get(outcome, 2 * HOUR)

    cooling = [
        is_cooling_down(outcome, NOON, cooldown=2 * HOUR, now=NOON + span + more)
        for more in (-1, 0)
    ]

    assert cooling == [True, False]

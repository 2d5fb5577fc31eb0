"""Secrets, durations, policies, pauses: the small values that everything leans on."""

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter, ValidationError

from monitor.core.backoff import LONGEST, delivery_backoff, poll_backoff
from monitor.core.duration import MICROSECONDS, Duration, humanize
from monitor.core.errors import ApiError, AttemptReason, DeliveryError
from monitor.core.model import Cause, FailureStreak
from monitor.core.policy import Flapping, IncidentPolicy, ReconnectionPolicy
from monitor.core.profile import profile_key
from monitor.core.secret import Secret


class Settings(BaseModel):
    token: Secret
    every: Duration = Duration.parse("1m")


def test_a_secret_shows_itself_nowhere():
    secret = Secret(" s3cret\n")

    assert secret.reveal() == "s3cret"
    for shown in (str(secret), repr(secret), f"{secret}", f"{secret:>20}", repr([secret])):
        assert "s3cret" not in shown
    settings = Settings(token="s3cret", every="90s")
    assert "s3cret" not in repr(settings) + settings.model_dump_json()
    assert Settings.model_json_schema()["properties"]["token"]["format"] == "password"


def test_a_secret_cannot_be_pickled():
    with pytest.raises(TypeError):
        pickle.dumps(Secret("x"))


def test_secrets_compare_and_hash_by_their_text():
    assert Secret("a") == Secret("a ")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a")}) == 1
    assert not Secret("")


@pytest.mark.parametrize("value", ["", "  ", 5, None])
def test_what_is_no_text_is_no_secret(value):
    with pytest.raises(ValidationError):
        Settings(token=value)


def test_a_secret_may_be_given_as_one():
    assert Settings(token=Secret("a")).token == Secret("a")


@pytest.mark.parametrize(
    ("text", "microseconds"),
    [("500ms", 500_000), ("30s", 30_000_000), ("5m", 300_000_000), ("2h", 7_200_000_000)],
)
def test_a_duration_is_written_with_its_unit(text, microseconds):
    assert Duration.parse(text) == microseconds
    assert str(Duration(microseconds)) == text
    assert Duration.parse(text).seconds == microseconds / 1_000_000


@pytest.mark.parametrize("text", ["", "5", "m", "-5m", "5 m", "1.5h", "5M", "٣s", "1w", 60, None])
def test_anything_else_is_no_duration(text):
    with pytest.raises(ValidationError, match="duration such as 30s"):
        Settings(token="x", every=text)


@given(st.integers(1, 999), st.sampled_from(sorted(MICROSECONDS)))
def test_a_duration_reads_back_what_it_writes(count, unit):
    duration = Duration(count * MICROSECONDS[unit])

    assert Duration.parse(str(duration)) == duration
    assert TypeAdapter(Duration).validate_python(duration) is duration


def test_odd_durations_can_be_written_too():
    assert str(Duration(0)) == "0s"
    assert str(Duration(1)) == "1us"
    assert repr(Duration.parse("1m")) == "Duration('1m')"
    assert Settings.model_json_schema()["properties"]["every"]["type"] == "string"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0s", "0 s"),
        ("59s", "59 s"),
        ("60s", "1 min"),
        ("125m", "2 h 5 min"),
        ("24h", "1 d"),
        ("1445m", "1 d"),
        ("30h", "1 d 6 h"),
    ],
)
def test_a_span_is_said_in_its_two_largest_units(text, said):
    assert humanize(Duration.parse(text)) == said


def test_a_span_is_never_negative():
    assert humanize(-5) == "0 s"


@pytest.mark.parametrize(
    "wrong",
    [
        {"open_after": 0},
        {"resolve_after": 0},
        {"missing_after": 5, "missing_many_after": 4},
        {"group_over": 0},
        {"remind_max": -1},
        {"remind": (Duration(0),)},
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        IncidentPolicy(**wrong)


@pytest.mark.parametrize("origin", ["app.linkedapi.io", "https://a/b", "ftp://a", "https://[b"])
def test_what_is_no_origin_is_refused(origin):
    with pytest.raises(ValueError, match="is not an origin"):
        ReconnectionPolicy(link_origins=(origin,))


def test_flapping_needs_two_changes():
    with pytest.raises(ValueError, match="changes"):
        Flapping(changes=1)


def test_a_delivery_waits_longer_each_time_but_not_for_ever():
    pauses = [delivery_backoff(n, jitter=1.0, retry_after=None) for n in range(1, 20)]

    assert pauses[0] == Duration.parse("5s")
    assert pauses == sorted(pauses)
    assert pauses[-1] == LONGEST


def test_half_of_a_pause_is_jitter_and_retry_after_is_the_least():
    assert delivery_backoff(1, jitter=0.0, retry_after=None) == Duration.parse("5s") // 2
    asked = Duration.parse("1h")
    assert delivery_backoff(1, jitter=1.0, retry_after=asked) == asked


def failing(cause, polls):
    return FailureStreak(cause, "", 0, polls)


def test_polls_pause_for_a_rejected_token_and_a_rate_limit_only():
    every = Duration.parse("1m")

    def pause(failed):
        return poll_backoff(failed, every=every, jitter=0.5)

    assert pause(None) == 0
    assert pause(failing(Cause.UNREACHABLE, 9)) == 0
    assert pause(failing(Cause.TOKEN_REJECTED, 1)) == 0
    assert pause(failing(Cause.TOKEN_REJECTED, 2)) == 2 * every
    assert pause(failing(Cause.TOKEN_REJECTED, 99)) == LONGEST
    assert pause(failing(Cause.RATE_LIMITED, 1)) == Duration.parse("45s")


@pytest.mark.parametrize(
    ("url", "same"),
    [
        ("https://www.linkedin.com/in/jane/", "linkedin.com/in/jane"),
        ("HTTP://LinkedIn.com/in/Jane?x=1#y", "linkedin.com/in/jane"),
        (" https://www.linkedin.com/in/j%C3%BCrgen ", "linkedin.com/in/jürgen"),
        ("", ""),
        ("jane", ""),
        ("https://[broken", ""),
    ],
)
def test_a_profile_address_is_compared_without_its_trimmings(url, same):
    assert profile_key(url) == same


def test_errors_carry_whether_to_try_again():
    delivery = DeliveryError("no", reason=AttemptReason.AUTH, permanent=True)
    api = ApiError("no", cause=Cause.UNREACHABLE, type="x", ambiguous=True)

    assert (delivery.permanent, delivery.ambiguous, delivery.retry_after) == (True, False, None)
    assert (api.type, api.ambiguous, api.retry_after) == ("x", True, None)

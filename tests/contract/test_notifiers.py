"""What every notifier keeps, whatever its type.

A new type needs a server and a check in `harness/receivers.py`, and nothing here.
"""

import re

import pytest
from harness.core import LINK, NOON
from harness.notifications import (
    HOSTILE,
    account,
    every_notification,
    message,
    notification,
    undelivered,
)
from harness.program import free_port
from harness.raw_server import close, http, reset, silence, then
from harness.receivers import CHECKS, HTTP, PATH, SECRETS, SERVERS, as_text, receiver

from monitor import notifiers
from monitor.core.errors import AttemptReason, DeliveryError, Remedy
from monitor.core.model import Cause, EventType, Resolution, Status
from monitor.core.receipt import Receipt

TYPES = notifiers.notifier_types()
GROUPS = [kind for kind in TYPES if notifiers._load(kind).Notifier.groups]


def each(kinds):
    """Make a fixture: a receiver of each of *kinds*."""

    @pytest.fixture(params=kinds)
    async def harness(request):
        async with receiver(request.param) as harness:
            yield harness

    return harness


harness, group_harness, http_harness = each(TYPES), each(GROUPS), each(HTTP)


def test_every_type_has_a_harness():
    assert set(TYPES) == set(SERVERS) == set(CHECKS)


async def test_what_was_accepted_gets_a_receipt(harness):
    assert await harness.notifier.send(message()) == Receipt()


async def test_what_one_receiver_answers_changes_no_request_to_another(http_harness):
    server = http_harness.server
    server.replies = [http(200, b"ok", {"set-cookie": f"c{n}={'x' * 3500}"}) for n in range(3)]

    for _ in range(3):
        await http_harness.send(message())

    first, *others = (request.headers for request in http_harness.received)
    assert [headers.keys() for headers in others] == [first.keys()] * 2


async def test_a_resolution_arrives_with_its_duration(harness):
    text = as_text(await harness.send(message(notification(EventType.RESOLVED))))

    duration = {"webhook": '"duration_seconds": 7500'}
    assert duration.get(harness.kind, "2 h 5 min") in text
    assert LINK not in text


async def test_everything_that_can_happen_arrives(harness):
    for case in every_notification():
        text = as_text(await harness.send(message(case)))

        assert case.account is None or "Jane Doe" in text
        assert (LINK in text) is (case.link is not None and harness.kind != "log")
        assert "None" not in text
        assert not any(secret in text for secret in SECRETS)


@pytest.mark.odd_input("hostile name")
@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.parametrize("event", [EventType.OPENED, EventType.RESOLVED])
async def test_a_hostile_name_is_harmless(harness, name, event):
    person = account(name, raw_status=name, url=name)
    copy = undelivered(name, name)
    case = notification(event, person=person, labels={"owner": name}, undelivered=copy)

    delivery = await harness.send(message(case))

    if harness.kind == "email":
        assert not {"bcc", "reply-to"} & {header.lower() for header in delivery}
        assert delivery["subject"].endswith("(acme)")
        assert delivery.get_body(("html",)) is not None
    if harness.kind != "webhook":
        assert not set(as_text(delivery)) & set("\x00\x1b\u202e\u200b\u2067")
    if harness.kind not in ("webhook", "log"):
        assert not re.search(r"evil\.|t\.co/|//evil|@evil|mailto:", as_text(delivery))


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
async def test_a_hostile_name_in_a_group_is_harmless(group_harness, name):
    people = [account(name, id_=str(index)) for index in range(3)]

    await group_harness.send(message(*(notification(person=person) for person in people)))


@pytest.mark.odd_input("a thousand accounts freeze at once")
async def test_a_group_of_a_thousand_is_bounded(group_harness):
    frozen = [
        notification(
            cause=Cause.FROZEN,
            person=account("N" * 80, id_=f"{index}-{'i' * 80}", status=Status.FROZEN),
        )
        for index in range(997)
    ]

    signed_out = [notification() for _ in range(3)]

    text = as_text(await group_harness.send(message(*signed_out, *frozen)))

    assert len(text) < 160_000
    assert "subscription" in text
    assert "more: run “linkedapi-monitor accounts --bad --show-links”" in text


async def test_a_group_of_every_kind_at_once_keeps_its_limits(group_harness):
    await group_harness.send(message(*every_notification()))


async def test_a_repeat_carries_the_same_id(harness):
    first = await harness.send(message())
    again = await harness.send(message(now=NOON + 60_000_000))

    if harness.kind == "email":
        assert first["message-id"] == again["message-id"]
    if harness.kind == "webhook":
        assert first.headers["webhook-id"] == again.headers["webhook-id"] == message().id


async def test_resolutions_of_all_kinds_say_how_it_ended(harness):
    cases = [notification(EventType.RESOLVED, resolution=resolution) for resolution in Resolution]

    texts = {as_text(await harness.send(message(case))) for case in cases}

    assert len(texts) == len(Resolution)


async def test_the_fallback_learns_who_could_not_be_told(harness):
    text = as_text(await harness.send(message(notification(undelivered=undelivered("ops-slack")))))

    assert ("ops-slack" in text) is (harness.kind != "webhook")  # no place in its contract


# ── what the answers of HTTP servers mean ────────────────────────────────────────────────────────


def expected(status):
    """Return why and with what remedy an attempt fails, and whether that is doubtful."""
    if status < 300:
        return None
    if status < 400:
        return (AttemptReason.NETWORK, Remedy.MEND, True)
    if status == 429:
        return (AttemptReason.RATE_LIMITED, Remedy.RETRY, False)
    if status in (408, 425) or status >= 500:
        return (AttemptReason.SERVER, Remedy.RETRY, False)
    if status in (400, 409, 413, 422):
        return (AttemptReason.CLIENT, Remedy.DROP, status == 409)
    reason = AttemptReason.AUTH if status in (401, 403, 407) else AttemptReason.CLIENT
    return (reason, Remedy.MEND, True)


def _meaning(error):
    return error and (error.reason, error.remedy, error.doubtful)


async def failure(harness):
    """Return how an attempt failed (None: it didn't), sure that nothing secret is in it."""
    try:
        await harness.notifier.send(message())
    except DeliveryError as caught:
        error = caught
    else:
        return None
    shown = repr((error, error.__cause__, error.__context__, vars(error)))
    assert not any(secret in shown for secret in (*SECRETS, "127.0.0.1", LINK, "Jane"))
    assert error.__cause__ is None
    assert error.__context__ is None
    return error


@pytest.mark.case("receiver refuses a message for good")
async def test_every_status_means_what_it_should(http_harness):
    for status in range(200, 600):
        headers = {"location": "/elsewhere", "retry-after": "7"}
        content = b"ok" if status < 300 and status != 204 else b""
        http_harness.server.replies = [http(status, content, headers)]

        error = await failure(http_harness)

        assert _meaning(error) == expected(status), status
        assert not (error and error.ambiguous)
        waits = error is not None and error.remedy is Remedy.RETRY
        assert (error.retry_after if error else None) == (7_000_000 if waits else None)
    lines = {request.line for request in http_harness.server.requests}
    assert lines == {f"POST {PATH} HTTP/1.1"}


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("30", 30),
        ("soon", None),
        ("999999", 3600),
        ("Mon, 23 Nov 2026 12:01:30 GMT", 90),
    ],
)
async def test_what_asks_for_patience_gets_it_within_reason(http_harness, value, seconds):
    http_harness.server.replies = [http(429, b"", {"retry-after": value})]

    error = await failure(http_harness)

    assert error.retry_after == (seconds * 1_000_000 if seconds else None)


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        pytest.param(silence, AttemptReason.TIMEOUT, marks=pytest.mark.slow),
        (then(b"HTTP/1.1 200 O", reset), AttemptReason.NETWORK),
        (close, AttemptReason.NETWORK),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", AttemptReason.NETWORK),
    ],
)
async def test_no_answer_to_a_request_that_left_is_ambiguous(http_harness, reply, reason):
    http_harness.server.replies = [reply]

    error = await failure(http_harness)

    assert (error.reason, error.ambiguous, error.remedy) == (reason, True, Remedy.RETRY)


@pytest.mark.parametrize(
    "page",
    [
        b"<!DOCTYPE html><title>Blocked</title>",
        b"\n<HTML><body>log in</body></HTML>",
        b"<?xml version='1.0'?>\n<!-- portal -->\n<!doctype html>",
    ],
)
@pytest.mark.parametrize("status", [200, 400, 403, 404, 511])
async def test_a_page_for_people_is_not_the_word_of_a_receiver(http_harness, page, status):
    http_harness.server.replies = [http(status, page, {"content-type": "text/html"})]

    error = await failure(http_harness)

    is_busy = status == 511
    assert error.remedy is (Remedy.RETRY if is_busy else Remedy.MEND)
    assert error.doubtful is not is_busy
    assert error.ambiguous is (status == 200)
    assert is_busy or " with a web page; check the address" in str(error)


@pytest.mark.parametrize("end", [close, reset, pytest.param(silence, marks=pytest.mark.slow)])
async def test_a_yes_whose_body_never_ends_is_a_yes(http_harness, end):
    http_harness.server.replies = [then(http(200, b"ok", length=9), end)]

    assert await failure(http_harness) is None


async def test_a_huge_answer_is_not_read_whole(http_harness):
    # Whoever wants more of it gets no answer in time.
    http_harness.server.replies = [http(400, b"x" * 200_000, length=50_000_000)]

    error = await failure(http_harness)

    assert str(error) == "answered 400 Bad Request"


@pytest.mark.parametrize("kind", HTTP)
async def test_a_dead_http_server_is_no_ambiguity(kind):
    async with receiver(kind, url=f"http://127.0.0.1:{free_port()}/s3cr3t") as harness:
        error = await failure(harness)

    assert (error.reason, error.ambiguous) == (AttemptReason.NETWORK, False)
    assert not any(secret in repr(harness.settings) for secret in SECRETS)

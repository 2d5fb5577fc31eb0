"""What is special about Slack; how its messages look is in `__snapshots__/test_messages`."""

import json
from http import HTTPStatus

import pytest
from harness.core import LINK
from harness.notifications import account, message, notification
from harness.raw_server import http
from harness.receivers import receiver

from monitor.core.errors import DeliveryError, Remedy
from monitor.core.model import EventType
from monitor.core.render import Line, Section, Style, Text, Tone, render
from monitor.core.secret import Secret
from monitor.notifiers import slack


async def test_a_link_that_slack_would_refuse_is_left_out():
    async with receiver("slack") as harness:
        link = f"https://app.linkedapi.io/{'x' * 3000}"

        request = await harness.send(message(notification(link=link)))

    assert link not in request.body.decode()


@pytest.mark.parametrize(
    ("status", "answer", "advice", "remedy"),
    [
        (404, b"no_service", "the webhook was removed or disabled; create a new one", Remedy.MEND),
        (410, b"channel_is_archived", "the channel of this webhook is archived", Remedy.MEND),
        (400, b"user_not_found", "the person whom this webhook writes to is gone", Remedy.MEND),
        (400, b"too_many_attachments", slack.NOT_UNDERSTOOD, Remedy.DROP),
    ],
)
async def test_a_refusal_says_what_to_do(status, answer, advice, remedy):
    async with receiver("slack") as harness:
        harness.server.replies = [http(status, answer)]

        with pytest.raises(DeliveryError) as caught:
            await harness.send(message())

    assert str(caught.value) == f"answered {status} {HTTPStatus(status).phrase}: {advice}"
    assert caught.value.remedy is remedy


def blocks(*cases, style=Style(), mentioned=()):  # noqa: B008 - it is frozen
    return slack.payload(render(message(*cases), style), mentioned)["blocks"]


def group(count, **fields):
    for number in range(count):
        yield notification(person=account(f"Jane {number}", id_=f"{number}", **fields))


def characters(part):
    """Count as Slack may: all that is shown, and the addresses."""
    if isinstance(part, dict):
        return sum(characters(value) for key, value in part.items() if key not in ("type", "style"))
    if isinstance(part, list):
        return sum(map(characters, part))
    return len(part) if isinstance(part, str) else 0


@pytest.mark.parametrize("count", [12, 60, 1000])
def test_a_group_lists_as_many_as_there_is_room_for_and_says_where_the_rest_is(count):
    *_, listing = blocks(*group(count))
    lists = {element["type"]: element["elements"] for element in listing["elements"]}

    whole = blocks(*group(count))
    listed = len(lists["rich_text_list"])
    assert sum(map(characters, whole)) <= slack.MAX_TEXTS
    if count <= 60:
        assert listed == count
        assert "rich_text_section" not in lists
    else:
        (rest,) = lists["rich_text_section"]
        assert rest["text"] == (
            f"… {count - listed} more: run “linkedapi-monitor accounts --bad --show-links”"
        )
        assert sum(map(characters, whole)) > slack.MAX_TEXTS - 300, "no room is left unused"


def test_what_the_blocks_hold_is_bounded():
    text = Text(
        thread_title="",
        tone=Tone.BAD,
        title="x" * 5000,
        lead="x",
        sections=tuple(
            Section(title="x" * 500, lead="x" * 500, lines=(Line("x" * 500),) * 9) for _ in range(9)
        ),
        notes=("x" * 5000,) * 50,
    )

    payload = slack.payload(text)
    header, *_, notes = payload["blocks"]

    assert len(payload["text"]) == 3000
    assert header["text"]["text"] == f"🔴 {'x' * 146}…"
    assert [len(note["text"]) for note in notes["elements"]] == [2000] * 10
    assert len(payload["blocks"]) <= 50


def test_what_is_bounded_fits_for_who_counts_an_emoji_as_two():
    title = f"{'👩🏽' * 200} is signed out"
    lines = tuple(Line("👩🏽" * 40) for _ in range(200))
    text = Text("", Tone.BAD, title=title, lead="x", sections=(Section("x", "x", lines),))

    header, *rest = slack.payload(text)["blocks"]

    assert len(header["text"]["text"].encode("utf-16-le")) // 2 in (149, 150)
    assert 4500 < characters(rest) < 5000


def test_there_are_no_buttons():
    """Slack warns who clicked one of a message from an incoming webhook."""
    assert "button" not in json.dumps(blocks(*group(3)) + blocks(notification()))


@pytest.mark.parametrize("value", ["plain", "*odd* <!here> & _x_"])
def test_a_label_is_bold_whatever_the_value(value):
    _, _, facts = blocks(notification(labels={"owner": value}))
    parts = facts["elements"][0]["elements"]

    at = [part["text"].strip() for part in parts].index("Owner:")
    assert parts[at]["style"] == {"bold": True}
    assert parts[at + 1] == {"type": "text", "text": value}


def test_the_text_of_a_group_says_what_to_do_at_once():
    text = slack.payload(render(message(*group(12)), Style()))["text"]

    assert text.splitlines()[2].startswith("Open Reconnect beside each name and log in")


OWNED = {"labels": {"slack": "U024BE7LH"}}


@pytest.mark.parametrize(
    ("cases", "users"),
    [
        ([notification(**OWNED)], "<@U024BE7LH>"),
        ([notification(**OWNED), notification(**OWNED)], "<@U024BE7LH>"),
        ([notification(EventType.RESOLVED, **OWNED)], None),
        ([notification(labels={"slack": "U0> <!channel"})], None),
        ([notification(labels={})], None),
    ],
)
async def test_owners_are_mentioned_with_bad_news(cases, users):
    async with receiver("slack", mention={"label": "slack"}) as harness:
        request = await harness.send(message(*cases))

    texts = [block.get("text", {}).get("text") for block in json.loads(request.body)["blocks"]]
    assert [text for text in texts if text and text.startswith("<@")] == ([users] if users else [])


def test_what_shows_no_blocks_has_the_links_and_none_in_half():
    people = [account(id_=f"{number}") for number in range(20)]
    links = [f"https://app.linkedapi.io/c/{number:03}/{'x' * 96}" for number in range(20)]
    cases = (notification(person=p, link=x) for p, x in zip(people, links, strict=True))
    payload = slack.payload(render(message(*cases), Style()))

    shown = [line.split()[-1] for line in payload["text"].splitlines() if "Reconnect:" in line]
    assert shown == links[: len(shown)]
    assert 12 <= len(shown) < 20, "as many as there is room for"
    assert f"… {20 - len(shown)} more: run" in payload["text"]
    assert (payload["unfurl_links"], payload["unfurl_media"]) == (False, False)
    single = slack.payload(render(message(), Style()))["text"]
    assert f"\nReconnect: {LINK}\n" in single
    assert single.startswith("🔴 “Jane Doe” is signed out of LinkedIn\n")


# ── what is a yes ────────────────────────────────────────────────────────────────────────────────


async def answer(content, status=200, url=None):
    """Return how an attempt failed that was answered so; None if it did not."""
    async with receiver("slack") as harness:
        harness.server.replies = [http(status, content)]
        if url is not None:
            harness.notifier.settings = harness.settings.model_copy(update={"url": Secret(url)})
            harness.notifier.http = Redirected(harness.notifier.http, harness.settings.url)
        try:
            await harness.notifier.send(message())
        except DeliveryError as error:
            return error
    return None


class Redirected:
    """Builds requests to another address than it is told."""

    def __init__(self, http, url):
        self.send = http.send
        self._build = http.build_request
        self._url = url.reveal()

    def build_request(self, method, _url, **options):
        return self._build(method, self._url, **options)


@pytest.mark.parametrize(
    "content",
    [
        *(b"ok", b"ok\n", b"OK", {"ok": True}, {"ok": True, "warning": "x"}),  # Slack, its likes
        *({"success": True}, {"result": "success", "msg": ""}, {"status": "ok"}),  # Rocket.Chat, …
        *({"error": None, "id": 7}, {"error": False}, {"x": 1, "data": [{"error": ""}]}),
        *(b"", b"1", b"Accepted", {"id": "17"}, [], b"Workflow was started"),  # relays of all kinds
    ],
)
async def test_a_yes_is_whatever_a_chat_says_that_is_no_no(content):
    assert await answer(content) is None
    assert await answer(b"", 204) is None


@pytest.mark.parametrize(
    ("content", "words", "remedy"),
    [
        (
            {"ok": False, "error": "not_authed"},
            "but not_authed: this is an addr",
            Remedy.MEND,
        ),
        ({"ok": False, "error": "ratelimited"}, "but ratelimited: Slack is busy", Remedy.RETRY),
        ({"ok": False, "error": "invalid_blocks"}, slack.NOT_UNDERSTOOD, Remedy.DROP),
        ({"ok": False, "error": "S3CR3T of somebody"}, "but not accepted", Remedy.MEND),
        ({"ok": False}, "but not accepted", Remedy.MEND),
        ({"error": True}, "but not accepted", Remedy.MEND),
        ({"error": {"code": 7}, "id": 7}, "but not accepted", Remedy.MEND),
        ({"error": False, "status": "error"}, "but not accepted", Remedy.MEND),
        ({"success": False, "error": "not-a-room"}, "but not accepted", Remedy.MEND),
        ({"result": "error", "msg": "x"}, "but not accepted", Remedy.MEND),
        (b"no_service", "but no_service: the webhook was removed", Remedy.MEND),
        (b"some_new_word", "but some_new_word", Remedy.MEND),
        (b"Webhook message delivery failed with error: HTTP 429", "but not accepted", Remedy.MEND),
        (b"<html>blocked</html>", "with a web page", Remedy.MEND),
    ],
)
async def test_a_no_is_one_whatever_its_status(content, words, remedy):
    error = await answer(content)

    assert words in str(error)
    assert str(error).startswith("answered 200 OK")
    assert "S3CR3T" not in str(error)
    assert error.remedy is remedy


@pytest.mark.parametrize("content", [b"", b"Welcome", {"captcha": "x"}])
async def test_slack_itself_says_ok(content):
    url = "https://hooks.slack.com/services/T0/B0/s3cr3t"

    assert await answer(b"ok", url=url) is None
    assert await answer({"ok": True}, url=url) is None
    error = await answer(content, url=url)

    assert str(error) == "answered 200 OK without Slack's ok; it may have arrived"
    assert error.ambiguous
    assert error.remedy is Remedy.RETRY

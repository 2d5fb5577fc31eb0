"""What is special about Slack; how its messages look is in `__snapshots__/test_messages`."""

import pytest
from harness.core import LINK
from harness.notifications import account, message, notification
from harness.raw_server import http
from harness.receivers import receiver

from monitor.core.errors import DeliveryError, Remedy
from monitor.core.render import Line, Section, Text, Tone, render
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

    assert str(caught.value) == f"HTTP {status}: {advice}"
    assert caught.value.remedy is remedy


def test_texts_and_blocks_are_bounded():
    text = Text(
        thread_title="",
        tone=Tone.BAD,
        title="x" * 5000,
        lead="x" * 5000,
        facts=(("x", "*" * 5000), ("x", "x" * 5000)) * 50,
        notes=("x" * 5000,) * 50,
    )

    payload = slack.payload(text)
    header, lead, facts, notes = payload["blocks"]

    assert len(payload["text"]) == 3000
    assert (len(header["text"]["text"]), len(lead["text"]["text"])) == (150, 3000)
    assert [len(field["text"]) for field in facts["fields"]] == [2000] * 10
    assert [len(note["text"]) for note in notes["elements"]] == [2000] * 10


def test_what_a_section_has_not_is_no_block():
    line = Line("Jane", "since noon")
    sections = (Section(title="", lead="", lines=(line,)),)
    text = Text(thread_title="", tone=Tone.BAD, title="x", lead="", sections=sections)

    _, block = slack.payload(text)["blocks"]

    assert block["text"]["text"] == "Jane, since noon"


def test_what_shows_no_blocks_has_the_links_and_none_in_half():
    people = [account(id_=f"{number}") for number in range(20)]
    links = [f"https://app.linkedapi.io/c/{number:03}/{'x' * 96}" for number in range(20)]
    cases = (notification(person=p, link=x) for p, x in zip(people, links, strict=True))
    payload = slack.payload(render(message(*cases), timezone="UTC"))

    shown = [line.split()[-1] for line in payload["text"].splitlines() if "Reconnect:" in line]
    assert shown == links[: len(shown)]
    assert 12 <= len(shown) < 20, "as many as there is room for"
    assert (payload["unfurl_links"], payload["unfurl_media"]) == (False, False)
    single = slack.payload(render(message(), timezone="UTC"))["text"]
    assert f"\nReconnect: {LINK}\n" in single
    assert single.startswith("🔴 “Jane Doe” is signed out of LinkedIn\n")

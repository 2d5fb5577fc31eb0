"""What is special about the log; how its lines look is in `__snapshots__/test_messages`."""

import asyncio
import io
import json
import os
from contextlib import closing

import pytest
from harness.notifications import message, notification
from harness.receivers import receiver

from monitor import log
from monitor.core.duration import Duration
from monitor.core.errors import AttemptReason, DeliveryError
from monitor.core.model import EventType
from monitor.core.receipt import Receipt
from monitor.core.render import Style
from monitor.log import LogQueue
from monitor.notifiers.log import Notifier, Settings


async def test_each_notification_is_a_line_and_bad_news_are_warnings():
    async with receiver("log") as harness:
        await harness.send(message(notification(), notification(EventType.RESOLVED)))

    assert [line["log_level"] for line in harness.received] == ["warning", "info"]


def notifier(timeout="20s"):
    settings = Settings(name="log", type="log")
    settings = settings.model_copy(update={"timeout": Duration.parse(timeout)})
    return Notifier(settings, http=None, style=Style())


@pytest.fixture
def pipe():
    """The end to read of a pipe that the log goes to, and that is full already."""
    end, writing = os.pipe()
    with os.fdopen(writing, "w") as stream, closing(LogQueue(stream)) as queue:
        log.configure(level="error", format="json", secrets=[], stream=queue)
        in_the_way = queue.deliver("\n" * 200_000)
        while not in_the_way.running():
            pass
        yield end
    os.close(end)


def arrived(end):
    """Wait for lines that say something; return which incidents they are about."""
    text = b""
    while not text.strip() or not text.endswith(b"\n"):
        text += os.read(end, 1_000_000)
    return [json.loads(line)["incident"] for line in text.splitlines() if line]


async def test_a_line_is_delivered_when_it_was_written_whatever_the_level(pipe):
    sending = asyncio.create_task(notifier().send(message()))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await asyncio.shield(sending)

    assert len(await asyncio.to_thread(arrived, pipe)) == 1
    assert await asyncio.wait_for(sending, 20) == Receipt()


async def test_a_line_that_was_not_begun_in_time_is_taken_back(pipe):
    with pytest.raises(DeliveryError, match="nobody reads the log") as raised:
        await notifier("0s").send(message())

    assert (raised.value.reason, raised.value.ambiguous) == (AttemptReason.TIMEOUT, False)
    sending = asyncio.create_task(notifier().send(message()))
    assert len(await asyncio.to_thread(arrived, pipe)) == 1
    await asyncio.wait_for(sending, 20)


async def test_a_log_that_takes_nothing_is_an_error():
    stream = io.StringIO()
    log.configure(level="info", format="json", secrets=[], stream=stream)
    assert await notifier().send(message()) == Receipt()
    stream.close()

    with pytest.raises(DeliveryError, match="the log can't be written: it is closed") as raised:
        await notifier().send(message())

    assert (raised.value.reason, raised.value.ambiguous) == (AttemptReason.NETWORK, False)

"""What is special about the log; how its lines look is in `__snapshots__/test_messages`."""

from harness.notifications import message, notification
from harness.receivers import receiver

from monitor.core.model import EventType


async def test_each_notification_is_a_line_and_bad_news_are_warnings():
    async with receiver("log") as harness:
        await harness.send(message(notification(), notification(EventType.RESOLVED)))

    assert [line["log_level"] for line in harness.received] == ["warning", "info"]

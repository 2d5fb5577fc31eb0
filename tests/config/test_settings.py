import pytest

from monitor.config.settings import PollSettings

NOON = 1_795_435_200_000_000


def test_polls_are_a_second_or_more_apart():
    with pytest.raises(ValueError, match="1s or longer"):
        PollSettings(every="999ms")


@pytest.mark.parametrize("timezone", ["Mars/Olympus", "", "../etc/passwd", "Europe"])
def test_a_time_zone_that_nobody_knows_is_refused(timezone):
    with pytest.raises(ValueError, match="must be a time zone"):
        PollSettings(timezone=timezone)


def test_polls_are_due_by_an_interval_or_by_a_crontab():
    with pytest.raises(ValueError, match="both every and cron"):
        PollSettings(every="1m", cron="* * * * *")


def test_a_crontab_must_be_one():
    with pytest.raises(ValueError, match="the hour '24' cannot be read"):
        PollSettings(cron="* 24 * * *")


def test_the_next_poll_is_due_as_the_rhythm_says():
    every = PollSettings(every="90s")
    cron = PollSettings(cron="0 8 * * *", timezone="Asia/Kolkata")

    assert every.next_due(NOON) == NOON + 90_000_000
    assert every.rhythm == every.every
    assert cron.next_due(NOON) == cron.rhythm(NOON) == NOON + 52_200_000_000

import os
import signal

import pytest

from monitor.cli.signals import SIGNALS, deferred_signals


@pytest.fixture(autouse=True)
def _none_is_ignored():
    """Whoever runs the tests may ignore some, as shells do in the background."""
    before = {number: signal.signal(number, signal.default_int_handler) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def send(*numbers, passed):
    """Let signals reach this process one after the other; add to *passed* how many did no harm."""
    with deferred_signals() as pause:
        pause(0)
        for number in numbers:
            os.kill(os.getpid(), number)
            passed.append(number)
        pause(0)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_ends_the_process_where_it_can_clean_up(number):
    before, passed = signal.getsignal(number), []

    with pytest.raises(SystemExit) as ended:
        send(number, passed=passed)

    assert passed == [number]
    assert ended.value.code == 128 + number
    assert signal.getsignal(number) == before


def test_a_second_one_ends_it_at_once():
    passed = []

    with pytest.raises(SystemExit) as ended:
        send(signal.SIGINT, signal.SIGTERM, passed=passed)

    assert passed == [signal.SIGINT]
    assert ended.value.code == 128 + signal.SIGTERM


def test_a_signal_that_was_ignored_before_stays_so():
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    passed = []

    send(signal.SIGHUP, passed=passed)

    assert passed == [signal.SIGHUP]
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN

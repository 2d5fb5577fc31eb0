from monitor.core.errors import MonitorError, first_error


def test_of_all_that_went_wrong_at_once_what_has_a_known_reason_is_told():
    bug, reason = ValueError("a bug"), MonitorError("known")

    assert first_error(reason) is reason
    assert first_error(ExceptionGroup("", [bug, ExceptionGroup("", [reason])])) is reason
    assert first_error(ExceptionGroup("", [ExceptionGroup("", [bug])])) is bug

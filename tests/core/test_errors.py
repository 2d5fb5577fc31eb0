"""The errors of the monitor's boundaries."""

from monitor.core.errors import ApiError, AttemptReason, DeliveryError, Remedy
from monitor.core.model import Cause


def test_errors_carry_whether_to_try_again():
    delivery = DeliveryError("no", reason=AttemptReason.AUTH, remedy=Remedy.MEND)
    api = ApiError("no", cause=Cause.UNREACHABLE, type="x", ambiguous=True)

    assert (delivery.remedy, delivery.ambiguous, delivery.retry_after) == (Remedy.MEND, False, None)
    assert (api.type, api.ambiguous, api.retry_after) == ("x", True, None)

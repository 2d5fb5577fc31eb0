"""The errors of the monitor's boundaries."""

from monitor.core.errors import ApiError, AttemptReason, DeliveryError
from monitor.core.model import Cause


def test_errors_carry_whether_to_try_again():
    delivery = DeliveryError("no", reason=AttemptReason.AUTH, permanent=True)
    api = ApiError("no", cause=Cause.UNREACHABLE, type="x", ambiguous=True)

    assert (delivery.permanent, delivery.ambiguous, delivery.retry_after) == (True, False, None)
    assert (api.type, api.ambiguous, api.retry_after) == ("x", True, None)

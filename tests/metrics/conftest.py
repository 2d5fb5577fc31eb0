import pytest
from harness.metrics import MetricsHarness


@pytest.fixture
def metrics():
    return MetricsHarness()

"""The workspace that most tests of polls begin with."""

import pytest
from harness.poll import poll_harness


@pytest.fixture
async def harness(tmp_path):
    """Three accounts, all well, polled once."""
    async with poll_harness(tmp_path, accounts=3) as harness:
        assert await harness.poll() == []
        yield harness

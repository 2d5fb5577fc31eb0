"""Workers for the tests of the monitor put together."""

import pytest
from harness.workers import workers_harness

from monitor.store.db import Store


@pytest.fixture
async def harness(tmp_path, request):
    async with workers_harness(tmp_path, getattr(request, "param", Store)) as opened:
        yield opened

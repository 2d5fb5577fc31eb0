"""What tests of notifiers share."""

import pytest
from harness.receivers import make_certificate


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """A certificate for 127.0.0.1 that nobody trusts but who is told to."""
    return make_certificate(tmp_path_factory.mktemp("certificate"))

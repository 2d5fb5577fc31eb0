"""Which LinkedIn profile an address leads to."""

import pytest

from monitor.core.profile import profile_key


@pytest.mark.parametrize(
    ("url", "same"),
    [
        ("https://www.linkedin.com/in/jane/", "linkedin.com/in/jane"),
        ("HTTP://LinkedIn.com/in/Jane?x=1#y", "linkedin.com/in/jane"),
        (" https://www.linkedin.com/in/j%C3%BCrgen ", "linkedin.com/in/jürgen"),
        ("", ""),
        ("jane", ""),
        ("https://[broken", ""),
    ],
)
def test_a_profile_address_is_compared_without_its_trimmings(url, same):
    assert profile_key(url) == same

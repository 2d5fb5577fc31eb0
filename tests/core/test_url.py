"""Web addresses, wherever one is configured or comes from others."""

import pytest

from monitor.core.url import profile_key, split_web_url


@pytest.mark.parametrize(
    "url", ["https://a.example", "http://127.0.0.1:8080/x?y#z", "HTTPS://[::1]/", "https://u@h/"]
)
def test_a_web_url_has_a_scheme_a_host_and_a_port_that_can_be(url):
    assert split_web_url(url).hostname


@pytest.mark.parametrize(
    "url",
    [
        *("", "a.example", "//a.example/", "ftp://a.example", "javascript:alert(1)//a.example"),
        *("https://", "https:///x", "https://:443/", "https://[broken", "https://a.example:0/"),
        *("https://a.example:99999/", "https://a.example:x/"),
    ],
)
def test_what_is_no_web_url_has_no_parts(url):
    assert split_web_url(url) is None


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

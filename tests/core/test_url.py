"""Web addresses, wherever one is configured or comes from others."""

import pytest

from monitor.core.url import is_profile, profile_key, split_web_url


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


@pytest.mark.parametrize(
    "url",
    [
        "https://www.linkedin.com/in/jane-doe/",
        "https://linkedin.com/in/jane-doe-63ca828d",
        "https://www.linkedin.com/in/j%C3%BCrgen-m%C3%BCller_1~x/",
        "https://www.linkedin.com/in/jürgen",
        "https://www.linkedin.com/in/%E5%B0%8F%E6%98%8E",
        f"https://www.linkedin.com/in/{'x' * 472}",
    ],
)
def test_a_profile_is_the_page_of_a_person(url):
    assert is_profile(url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "javascript:alert(1)//www.linkedin.com/in/x",
        *("http://www.linkedin.com/in/x", "//www.linkedin.com/in/x", "www.linkedin.com/in/x"),
        *("HTTPS://www.linkedin.com/in/x", "https://WWW.LINKEDIN.COM/in/x"),
        *("https://lin\u212aedin.com/in/x", "https://www。linkedin.com/in/x"),
        # other hosts
        *("https://linkedin.com.evil.example/in/x", "https://evil.example/linkedin.com/in/x"),
        *("https://evil-linkedin.com/in/x", "https://evil.www.linkedin.com/in/x"),
        *("https://de.linkedin.com/in/x", "https://lnkd.in/in/x", "https://linkedin.com./in/x"),
        "https://[broken",
        # not the host that it seems to be
        *("https://www.linkedin.com@evil.example/in/x", "https://u:p@www.linkedin.com/in/x"),
        *("https://evil.example\\@www.linkedin.com/in/x", "https://www.linkedin.com\\in\\x"),
        *("https://evil.example%2f.linkedin.com/in/x", "https://www.linkedin.com%2Fin/x"),
        *("https://www.linkedin.com:8443/in/x", "https://www.linkedin.com:443/in/x"),
        # what leads on from there
        *(
            "https://www.linkedin.com/redir/redirect?url=https://evil.example",
            "https://linkedin.com",
        ),
        *("https://www.linkedin.com/in/x?trk=https://evil.example", "https://linkedin.com/in/x#y"),
        *("https://www.linkedin.com/in/../redir", "https://www.linkedin.com/in/%2e%2e/redir"),
        *("https://www.linkedin.com/in/%2e%2e%2fredir", "https://www.linkedin.com/in/x%3Fy=z"),
        *("https://www.linkedin.com/in/x%23", "https://www.linkedin.com/in/x/../../redir"),
        *(
            "https://www.linkedin.com/in/x;y",
            "https://www.linkedin.com/in/x.y",
            "https://linkedin.com/in/",
        ),
        *("https://www.linkedin.com/safety/go?url=x", "https://www.linkedin.com/company/x/"),
        *("https://www.linkedin.com/in/x%", "https://www.linkedin.com/in/%u00e9"),
        # what cannot be seen, or is too much
        *(
            "https://www.linkedin.com/in/x\n",
            " https://www.linkedin.com/in/x",
            "https://linkedin.com/in/x y",
        ),
        *(
            "https://www.linkedin.com/in/\u202ex",
            'https://www.linkedin.com/in/"><b>',
            "https://linkedin.com/in/x%0a",
        ),
        f"https://www.linkedin.com/in/{'x' * 473}",
    ],
)
def test_what_is_or_leads_anywhere_else_is_no_profile(url):
    assert not is_profile(url)

"""Which proxy leads where, and what of the surroundings can't be read."""

import pytest

from monitor.core.errors import SetupError
from monitor.core.secret import Secret
from monitor.net.proxy import always, from_environment, parse_proxy

PROXY = "http://proxy.example.com:3128"


def proxy_to(url, **environ):
    proxy = from_environment(environ).find(url)
    return proxy and proxy.reveal()


@pytest.mark.parametrize(
    ("url", "environ", "proxy"),
    [
        ("https://a.example", {}, None),
        ("https://a.example", {"HTTPS_PROXY": PROXY}, PROXY),
        ("http://a.example", {"HTTPS_PROXY": PROXY}, None),
        ("http://a.example", {"HTTP_PROXY": PROXY}, PROXY),
        ("http://a.example", {"ALL_PROXY": PROXY}, PROXY),
        ("https://a.example", {"ALL_PROXY": "http://all:1", "HTTPS_PROXY": PROXY}, PROXY),
        ("https://a.example", {"https_proxy": PROXY, "HTTPS_PROXY": "http://other:1"}, PROXY),
        ("https://a.example", {"https_proxy": "", "HTTPS_PROXY": PROXY}, None),
        ("https://a.example", {"HTTPS_PROXY": " proxy:3128\n"}, "http://proxy:3128"),
        ("https://a.example", {"HTTPS_PROXY": "HTTPS://proxy:3128/"}, "https://proxy:3128/"),
        ("https://a.example", {"HTTPS_PROXY": "[fd00::1]:3128"}, "http://[fd00::1]:3128"),
        # a variable that does not count is not read
        ("https://a.example", {"HTTPS_PROXY": PROXY, "ALL_PROXY": "socks5://x"}, PROXY),
        ("https://a.example", {"HTTP_PROXY": "http://x:y", "HTTPS_PROXY": PROXY}, PROXY),
        ("https://a.example", {"ALL_PROXY": "socks5://x", "NO_PROXY": "a.example"}, None),
    ],
)
def test_the_usual_variables_name_proxies(url, environ, proxy):
    assert proxy_to(url, **environ) == proxy


@pytest.mark.parametrize(
    ("url", "no_proxy"),
    [
        ("https://a.example", "*"),
        ("https://10.1.2.3", "x, *"),
        ("https://a.example", "a.example"),
        ("https://A.example.", "a.EXAMPLE"),
        ("https://b.a.example", "a.example."),
        ("https://b.a.example", ".a.example"),
        ("https://b.a.example", "*.a.example"),
        ("https://a.example", " x.example , a.example"),
        ("https://a.example", "x.example a.example"),
        ("https://a.example:8443", "a.example:8443"),
        ("https://a.example", "a.example:443"),
        ("http://localhost:8600", "localhost"),
        ("https://bücher.example", "xn--bcher-kva.example"),
        ("https://xn--bcher-kva.example", "bücher.example"),
        ("http://10.1.2.3:80", "10.0.0.0/8"),
        ("http://10.1.2.3", "10.1.2.3/8"),
        ("http://10.1.2.3", "10.1.2.3"),
        ("http://10.1.2.3:8080", "10.1.2.3:8080"),
        ("http://[fd00::1]:8080", "localhost,fd00::/8"),
        ("http://[fd00::1]", "[fd00::]/8"),
        ("http://[::1]", "localhost,[::1]"),
        ("http://[::1]:8080", "[::1]:8080"),
        ("http://[fe80::1%25eth0]", "fe80::/10"),
    ],
)
def test_what_is_exempt_is_reached_without(url, no_proxy):
    environ = {"ALL_PROXY": PROXY, "NO_PROXY": no_proxy}

    assert proxy_to(url, **environ) is None
    assert from_environment(environ).warnings == ()


@pytest.mark.parametrize(
    ("url", "no_proxy"),
    [
        ("https://a.example", ""),
        ("https://ba.example", "a.example"),
        ("https://a.example", "b.a.example"),
        ("https://a.example", "a.example:8443"),
        ("https://10.1.2.3", "10.1.2.4,10.0.0.0/16"),
        ("https://10.1.2.3", "2.3"),
        ("https://[fd00::1]", "fe80::/10,10.0.0.0/8"),
        ("https://127.0.0.1", "localhost"),
    ],
)
def test_all_else_is_reached_through_it(url, no_proxy):
    assert proxy_to(url, ALL_PROXY=PROXY, NO_PROXY=no_proxy) == PROXY


@pytest.mark.parametrize(
    "entry", ["http://x.example", "fd00::/200", "[::1", "a_b!c", "x:port", "1.2"]
)
def test_an_entry_that_cannot_be_read_is_left_out_with_a_warning(entry):
    proxies = from_environment({"ALL_PROXY": PROXY, "no_proxy": f"b.example,{entry},a.example"})

    assert proxies.find("https://a.example") is None
    assert proxies.warnings == ("no_proxy: entry 2 is left out: it is no name, address or network",)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("socks5://user:s3cr3t@127.0.0.1:1080", "SOCKS proxies are not supported"),
        ("SOCKS5H://s3cr3t", "SOCKS proxies are not supported"),
        ("http://s3cr3t:notaport", "must be an address such as"),
        ("http://user:s3cr3t/3@proxy:3128", "in a password as %2F"),
        ("http://user:s3cr3t#3@proxy:3128", "in a password as %2F"),
        ("http://user%3As3cr3t:x@proxy:3128", "must not hold a colon"),
        ("ftp://s3cr3t", "must be an address such as"),
        ("http://s3cr3t:99999", "must be an address such as"),
        ("http://[s3cr3t", "must be an address such as"),
        ("http://s3cr3t!x", "must be an address such as"),
        ("s3cr3t with spaces", "must be an address such as"),
        ("http://", "must be an address such as"),
    ],
)
@pytest.mark.parametrize("variable", ["ALL_PROXY", "https_proxy"])
def test_what_is_no_proxy_is_named_by_its_variable_alone(value, words, variable):
    with pytest.raises(SetupError) as caught:
        proxy_to("https://a.example", **{variable: value})

    assert str(caught.value).startswith(f"{variable}: ")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "s3cr3t" not in f"{caught.value!r} {caught.value.__cause__}"


def test_a_setting_counts_for_everything_and_is_named():
    proxies = always("linked_api.proxy", Secret(PROXY))

    assert proxies.find("http://127.0.0.1") == proxies.find("https://a.example") == Secret(PROXY)
    with pytest.raises(SetupError, match=r"^linked_api\.proxy: SOCKS"):
        always("linked_api.proxy", Secret("socks5://x")).find("https://a.example")


def test_what_was_read_shows_no_credentials():
    proxies = from_environment({"ALL_PROXY": "http://user:s3cr3t@proxy:3128"})

    assert "s3cr3t" not in repr(proxies)
    assert "s3cr3t" not in repr(parse_proxy(Secret("http://user:s3cr3t@proxy:3128")))

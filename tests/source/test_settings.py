"""The section `linked_api`."""

import pytest
from pydantic import ValidationError

from monitor.source.settings import LinkedApiSettings


def settings(**fields):
    return LinkedApiSettings.model_validate(fields)


def test_that_there_is_no_proxy_may_be_written():
    assert settings(proxy=None) == settings()


def test_an_address_loses_its_trailing_slash():
    assert settings(base_url="http://127.0.0.1:8000/api/").base_url == "http://127.0.0.1:8000/api"


@pytest.mark.parametrize(
    "fields",
    [
        *({"base_url": url} for url in ("api.linkedapi.io", "ftp://api.linkedapi.io", "https://")),
        *({"base_url": f"https://{rest}"} for rest in ("host:port", "host:99999", "[::1", "a b")),
        {"base_url": "https://host/\n"},
        *({"base_url": f"https://{rest}pass-word"} for rest in ("host?", "host/#")),
        {"base_url": "https://pass-word@host"},
        {"timeout": "0s"},
        *({"requests_per_minute": number} for number in (0, 101)),
        *({"proxy": url} for url in ("pass-word:3128", "socks5://u:pass-word@host", "http://")),
    ],
)
def test_what_cannot_work_is_refused_without_being_shown(fields):
    with pytest.raises(ValidationError) as caught:
        settings(**fields)

    assert "pass-word" not in str(caught.value)


def test_a_proxy_is_a_secret():
    secret = settings(proxy="http://u:pass-word@proxy.example.com:3128")

    assert "pass-word" not in repr(secret)
    assert "pass-word" not in secret.model_dump_json()
    assert secret.proxy.reveal() == "http://u:pass-word@proxy.example.com:3128"

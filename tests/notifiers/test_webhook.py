"""Signatures, headers and bounds; how the events look is in `__snapshots__/test_messages`."""

import base64
import hashlib
import hmac
import json

import pytest
from harness.notifications import account, message, notification
from pydantic import ValidationError

from monitor.core.render import Style
from monitor.notifiers import webhook

RAW_KEY = b"0123456789abcdef"
KEY = "whsec_" + base64.b64encode(RAW_KEY).decode()
URL = "https://hooks.example.com/s3cr3t"


def request(sent, **values):
    settings = webhook.Settings(name="ops", type="webhook", url=URL, secret=KEY, **values)
    return webhook.Notifier(settings, http=None, style=Style()).request(sent)


def test_an_event_is_signed():
    signed = request(message())

    content = b".".join((message().id.encode(), b"1795435200", signed.body))
    digest = base64.b64encode(hmac.digest(RAW_KEY, content, hashlib.sha256)).decode()
    assert signed.url.reveal() == URL
    assert signed.headers == {
        "webhook-id": message().id,
        "webhook-timestamp": "1795435200",
        "webhook-signature": f"v1,{digest}",
    }


def test_headers_of_the_settings_are_sent_too():
    headers = request(message(), headers={"Authorization": "Bearer abc"}).headers

    assert headers["authorization"] == "Bearer abc"


@pytest.mark.parametrize(
    ("name", "sent"), [("x" * 5000, "x" * 1000), ("a\u202e\n", "a\u202e\n"), ("\ud800a", "?a")]
)
def test_names_are_bounded_and_unicode_and_otherwise_as_they_are(name, sent):
    event = json.loads(request(message(notification(person=account(name)))).body)

    assert event["data"]["account"]["name"] == sent


def test_a_webhook_needs_a_secret():
    with pytest.raises(ValidationError, match="secret"):
        webhook.Settings(name="ops", type="webhook", url=URL)


@pytest.mark.parametrize(
    "values",
    [
        {"secret": ""},
        {"secret": "s3cr3t"},
        {"secret": "whsec_s3cr3t!"},
        {"secret": "whsec_ZmlmdGVlbiBieXRlcyAh"},
        {"headers": {"webhook-id": "s3cr3t"}},
        {"headers": {"x": "s3cr3t\r\ny: 1"}},
        {"headers": {"a b": "s3cr3t"}},
    ],
)
def test_settings_that_cannot_work_are_refused_without_showing_them(values):
    with pytest.raises(ValidationError) as caught:
        webhook.Settings(**{"name": "ops", "type": "webhook", "url": URL, "secret": KEY, **values})

    assert "s3cr3t" not in str(caught.value)

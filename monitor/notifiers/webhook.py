"""`webhook`: signed JSON for machines, one event a request.

https://github.com/standard-webhooks/standard-webhooks
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from typing import Annotated, Final, Literal

from pydantic import Field, field_validator

from monitor.core.bounds import AtMost
from monitor.core.doc import Doc
from monitor.core.notification import Message
from monitor.core.secret import Secret

from . import _http
from ._payload import payload

PREFIX: Final = "whsec_"

MIN_KEY: Final = 16
GOOD_KEY: Final = 24
"""Bytes of a secret: less can be guessed, and Standard Webhooks want this many."""

_TOKEN: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_|~-]{1,64}")
_OURS: Final = re.compile(
    r"webhook-.*|content-.*|host|connection|transfer-encoding|accept-encoding", re.IGNORECASE
)


class Settings(_http.HttpSettings):
    """A receiver of type `webhook`: where to, and what to sign with."""

    type: Annotated[
        Literal["webhook"],
        Doc("one event a request, as signed JSON, for programs", example="webhook"),
    ]
    secret: Annotated[
        Secret,
        Doc(
            '`whsec_` and at least 16 bytes in base64: `echo "whsec_$(openssl rand -base64 24)"`'
            " makes one",
            example="${WEBHOOK_SECRET}",
        ),
    ]
    headers: Annotated[
        Mapping[str, Secret],
        AtMost(50),
        Doc("further headers of each request", example={"X-Team": "growth"}),
    ] = Field(default_factory=dict)

    @field_validator("secret")
    @classmethod
    def _is_key(cls, value: Secret) -> Secret:
        _key(value)
        return value

    @property
    def oddities(self) -> Mapping[str, str]:
        """What is usable but was hardly meant: a sentence by key."""
        if len(_key(self.secret)) < GOOD_KEY:
            return {
                "secret": f"has fewer than {GOOD_KEY} bytes; `openssl rand -base64 32` makes one"
            }
        return {}

    @field_validator("headers")
    @classmethod
    def _are_headers(cls, value: Mapping[str, Secret]) -> Mapping[str, Secret]:
        for name, content in value.items():
            if not _TOKEN.fullmatch(name) or _OURS.fullmatch(name):
                raise ValueError("has a name that cannot be used")
            if not (content.reveal().isascii() and content.reveal().isprintable()):
                raise ValueError("has a value with characters that a header cannot hold")
        return value


class Notifier(_http.HttpNotifier[Settings]):
    """Posts one event a request, signed so that its receiver knows whom it is from."""

    groups = False
    is_machine = True

    def request(self, message: Message) -> _http.Request:
        """Write the one event of *message* and sign it."""
        (notification,) = message.notifications
        body = _http.to_json(payload(notification))
        timestamp = str(message.now // 1_000_000)
        signed = b".".join((message.id.encode(), timestamp.encode(), body))
        digest = hmac.digest(_key(self.settings.secret), signed, hashlib.sha256)
        headers = {name.lower(): value.reveal() for name, value in self.settings.headers.items()}
        headers |= {
            "webhook-id": message.id,
            "webhook-timestamp": timestamp,
            "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
        }
        return _http.Request(self.settings.url, body, headers)


def _key(secret: Secret) -> bytes:
    text = secret.reveal()
    try:
        key = base64.b64decode(text.removeprefix(PREFIX), validate=True)
    except ValueError:
        key = b""
    if not text.startswith(PREFIX) or len(key) < MIN_KEY:
        raise ValueError(f"must be {PREFIX} and at least {MIN_KEY} bytes in base64")
    return key

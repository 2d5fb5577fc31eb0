"""`webhook`: signed JSON for machines, one event a request.

https://github.com/standard-webhooks/standard-webhooks
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import Field, field_validator

from monitor.core.bounds import AtMost
from monitor.core.doc import Doc
from monitor.core.model import Account, EventType, Incident, Message, Notification
from monitor.core.secret import Secret
from monitor.core.text import iso_time, sanitize

from . import _http

PREFIX: Final = "whsec_"
MAX_TEXT: Final = 1000

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


def payload(notification: Notification) -> dict[str, Any]:
    """Write *notification* as the documented JSON; a `notice` has no incident but a detail."""
    data: dict[str, Any] = {
        "workspace": notification.workspace,
        "account": _account(notification.account, notification.labels)
        if notification.account
        else None,
        "incident": _incident(notification.incident) if notification.incident else None,
        "link": notification.link.reveal() if notification.link else None,
    }
    if notification.event is EventType.NOTICE:
        data["detail"] = _text(notification.detail)
    kind = f"incident.{notification.event}" if notification.incident else str(notification.event)
    return {"type": kind, "timestamp": iso_time(notification.at), "data": data}


def _account(account: Account, labels: Mapping[str, str]) -> dict[str, Any]:
    return {
        "id": _text(account.id),
        "name": _text(account.name),
        "url": _text(account.url),
        "labels": dict(labels),
    }


def _incident(incident: Incident) -> dict[str, Any]:
    ended = incident.resolved_at
    return {
        "id": incident.id,
        "scope": incident.scope,
        "cause": incident.cause,
        "previous_cause": incident.previous_cause,
        "status": incident.status,
        "raw_status": _text(incident.raw_status) if incident.raw_status is not None else None,
        "opened_at": iso_time(incident.opened_at),
        "resolved_at": iso_time(ended) if ended is not None else None,
        "resolution": incident.resolution,
        "duration_seconds": None if ended is None else (ended - incident.opened_at) // 1_000_000,
        "acknowledged_by": _text(incident.acknowledged_by) if incident.acknowledged_by else None,
        "recurrence": _recurrence(incident),
    }


def _recurrence(incident: Incident) -> dict[str, int] | None:
    if incident.times is None or incident.times_within is None:
        return None
    return {"times": incident.times, "within_seconds": incident.times_within // 1_000_000}


def _text(text: str) -> str:
    """Return *text* bounded and as valid Unicode, else as it is: machines compare it."""
    return sanitize(text, limit=MAX_TEXT)

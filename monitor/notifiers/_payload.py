"""What a webhook gets, as types: `docs/webhook.schema.json` is made of them by `python -m docs`.

A key once published stays and keeps its meaning. New ones may come; readers leave alone what they
do not know.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Final

from pydantic import Field, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

from monitor.core.doc import Doc
from monitor.core.model import Account, Cause, EventType, Incident, Resolution, Scope, Status
from monitor.core.notification import Notification
from monitor.core.subscription import Condition, parse_conditions
from monitor.core.text import iso_time, sanitize

MAX_TEXT: Final = 1000

TYPES: Final = (*(f"incident.{event}" for event in EventType), str(EventType.NOTICE))
"""What happened: to an incident, or a `notice` without one."""

_TIME: Final = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z$"
_Time = Annotated[str, Field(json_schema_extra={"format": "date-time", "pattern": _TIME})]


@dataclass(frozen=True, slots=True)
class _Account:
    id: Annotated[str, Doc("its id in Linked API", example="d90ac1f6-1111-4222-8333-444455556666")]
    name: Annotated[str, Doc("as its profile has it; it is not escaped", example="Jane Doe")]
    url: Annotated[
        str, Doc("its LinkedIn profile", example="https://www.linkedin.com/in/jane-doe/")
    ]
    labels: Annotated[
        Mapping[str, str], Doc("those of the configuration", example={"team": "growth"})
    ]


@dataclass(frozen=True, slots=True)
class _Recurrence:
    times: Annotated[int, Doc("it is the so many-th of its cause …", example=3)]
    within_seconds: Annotated[int, Doc("… within so long", example=604800)]


@dataclass(frozen=True, slots=True)
class _Incident:
    id: Annotated[str, Doc("the same from the opening to the end", example="ff0c4981-1a52")]
    scope: Annotated[Scope, Doc("whether it is about one account", example="account")]
    cause: Annotated[Cause, Doc("what is wrong, or was last", example="frozen")]
    previous_cause: Annotated[
        Cause | None, Doc("what was wrong before, if it has changed", example=None)
    ]
    status: Annotated[Status | None, Doc("that of the account", example="frozen")]
    raw_status: Annotated[str | None, Doc("the same, as Linked API writes it", example="frozen")]
    opened_at: Annotated[_Time, Doc("since when", example="2026-11-23T08:00:00.000Z")]
    resolved_at: Annotated[_Time | None, Doc("when it ended", example=None)]
    resolution: Annotated[Resolution | None, Doc("how it ended", example="recovered")]
    duration_seconds: Annotated[int | None, Doc("how long it lasted, once it ended", example=3)]
    acknowledged_by: Annotated[str | None, Doc("who has taken it over", example="jane")]
    recurrence: Annotated[
        _Recurrence | None, Doc("how often it happened, if that is often", example=None)
    ]
    conditions: Annotated[
        tuple[Condition, ...] | None,
        Doc("all that is wrong with the subscription, if that is the cause", example=["past_due"]),
    ]


@dataclass(frozen=True, slots=True)
class _Data:
    workspace: Annotated[str, Doc("its name; `*` is all of them", example="acme")]
    account: Annotated[_Account | None, Doc("null: it is about a workspace", example=None)]
    incident: Annotated[_Incident | None, Doc("null: a `notice` without one", example=None)]
    link: Annotated[
        str | None,
        Doc(
            "where to log in; null unless it is needed and this receiver may have it",
            example="https://app.linkedapi.io/connection/83be41a2",
        ),
    ]
    detail: Annotated[
        str | None,
        Doc(
            "of a `notice`: `appeared`, `disappeared`, `replaced`, `rules_changed`, or a text",
            example="appeared",
        ),
    ]


@dataclass(frozen=True, slots=True)
class _Payload:
    type: Annotated[
        str,
        Field(json_schema_extra={"enum": list(TYPES)}),
        Doc("what happened", example="incident.opened"),
    ]
    timestamp: Annotated[_Time, Doc("when", example="2026-11-23T08:00:00.000Z")]
    data: Annotated[_Data, Doc("what it is about", example=None)]


def payload(notification: Notification) -> dict[str, Any]:
    """Write *notification* as the documented JSON."""
    incident, account = notification.incident, notification.account
    is_notice = notification.event is EventType.NOTICE
    data = _Data(
        workspace=notification.workspace,
        account=_account(account, notification.labels) if account else None,
        incident=_incident(incident) if incident else None,
        link=notification.link.reveal() if notification.link else None,
        detail=_text(notification.detail) if is_notice else None,
    )
    kind = f"incident.{notification.event}" if incident else str(notification.event)
    return asdict(_Payload(kind, iso_time(notification.at), data))


def _account(account: Account, labels: Mapping[str, str]) -> _Account:
    return _Account(_text(account.id), _text(account.name), _text(account.url), dict(labels))


def _incident(incident: Incident) -> _Incident:
    ended = incident.resolved_at
    is_paying = incident.cause is Cause.SUBSCRIPTION
    return _Incident(
        id=incident.id,
        scope=incident.scope,
        cause=incident.cause,
        previous_cause=incident.previous_cause,
        status=incident.status,
        raw_status=None if incident.raw_status is None else _text(incident.raw_status),
        opened_at=iso_time(incident.opened_at),
        resolved_at=None if ended is None else iso_time(ended),
        resolution=incident.resolution,
        duration_seconds=None if ended is None else (ended - incident.opened_at) // 1_000_000,
        acknowledged_by=_text(incident.acknowledged_by) if incident.acknowledged_by else None,
        recurrence=_recurrence(incident),
        conditions=tuple(parse_conditions(incident.detail)) if is_paying else None,
    )


def _recurrence(incident: Incident) -> _Recurrence | None:
    if incident.times is None or incident.times_within is None:
        return None
    return _Recurrence(incident.times, incident.times_within // 1_000_000)


def _text(text: str) -> str:
    """Return *text* bounded and as valid Unicode, else as it is: machines compare it."""
    return sanitize(text, limit=MAX_TEXT)


# ── the schema ───────────────────────────────────────────────────────────────────────────────────

ID: Final = "urn:uuid:5d1c3a52-7a4b-4f0e-9d43-6c0d8a3f1b77"
"""What names the schema, wherever a copy of it is."""


def schema_text() -> str:
    """Return the JSON Schema of what a webhook gets, as it is published."""
    schema = TypeAdapter(_Payload).json_schema(schema_generator=_Schema)
    definitions = {
        name.removeprefix("_"): _unnamed(part) for name, part in schema.pop("$defs").items()
    }
    whole = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": ID,
        "title": "linkedapi-monitor webhook",
        "description": (
            "An event, as a receiver of type `webhook` gets it. Keys and words may be added."
        ),
        **_unnamed(schema),
        "$defs": definitions,
    }
    text = json.dumps(whole, indent=2, ensure_ascii=False)
    return text.replace('"#/$defs/_', '"#/$defs/') + "\n"


def _unnamed(part: dict[str, Any]) -> dict[str, Any]:
    """Leave out what the code says of itself."""
    return {key: value for key, value in part.items() if key not in ("title", "description")}


class _Schema(GenerateJsonSchema):
    """A schema without names of the code."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - pydantic's name
        """Give keys no titles: they say the same again."""
        return False

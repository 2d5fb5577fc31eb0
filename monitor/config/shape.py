"""What the settings look like from outside: their keys, their secrets, their JSON Schema."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import models_json_schema

from monitor import notifiers
from monitor.core.errors import MonitorError
from monitor.notifiers import ReceiverSettings

from .document import Place
from .settings import Config


@cache
def adapter(kind: Any) -> TypeAdapter[Any]:
    """Return what validates a value of *kind*."""
    return TypeAdapter(kind)


@cache
def settings_type(name: str) -> type[ReceiverSettings] | None:
    """Return the settings of the type *name*, None if there is none.

    Raise MonitorError if it cannot be told, because a notifier of a third party is broken.
    """
    try:
        return notifiers.settings_type(name)
    except MonitorError:
        if name in notifiers.notifier_types():
            raise
        return None


@cache
def _schema(kind: Any) -> dict[str, Any]:
    return adapter(kind).json_schema()


def keys(kind: Any, place: Place = ()) -> tuple[str, ...]:
    """Return the keys that the section of *kind* knows at *place*, `_file` forms included."""
    properties = declared(kind, place)
    files = (f"{key}_file" for key in secrets(kind, place))
    return tuple(dict.fromkeys((*properties, *files)))


@cache
def declared(kind: Any, place: Place = ()) -> Mapping[str, Any]:
    """Return the keys that the settings of *kind* declare at *place*, each with its schema."""
    properties: Mapping[str, Any] = _at(_schema(kind), place).get("properties", {})
    return properties


@cache
def secrets(kind: Any, place: Place = ()) -> tuple[str, ...]:
    """Return the keys of *kind* at *place* whose values are secrets."""
    return tuple(key for key, found in declared(kind, place).items() if _is_secret(found))


def _is_secret(schema: Mapping[str, Any]) -> bool:
    return bool(schema.get("writeOnly")) or any(map(_is_secret, schema.get("anyOf", ())))


def _at(root: Mapping[str, Any], place: Place) -> Mapping[str, Any]:
    found = _resolved(root, root)
    for step in place:
        below = found.get("properties", {}).get(step)
        found = _resolved(root, below or found.get("items") or {})
    return found


def _resolved(root: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Follow references, and take the alternative that has keys or items."""
    while "$ref" in schema:
        schema = root["$defs"][schema["$ref"].rpartition("/")[2]]
    for alternative in schema.get("anyOf", ()):
        found = _resolved(root, alternative)
        if "properties" in found or "items" in found:
            return found
    return schema


def schema() -> dict[str, Any]:
    """Return the JSON Schema of the configuration file, all known types of receivers included."""
    types = {name: notifiers.settings_type(name) for name in notifiers.notifier_types()}
    models: list[type[BaseModel]] = [Config, *types.values()]
    references, whole = models_json_schema([(model, "validation") for model in models])
    root = dict(_resolved(whole, references[Config, "validation"]))
    root["properties"] = dict(root["properties"])
    root["properties"]["receivers"] = {
        "type": "array",
        "items": {
            "anyOf": [
                {
                    "properties": {"type": {"const": name}},
                    "required": ["type"],
                    **references[model, "validation"],
                }
                for name, model in types.items()
            ]
        },
    }
    root["required"] = []
    definitions = {name: _with_files(part) for name, part in whole["$defs"].items()}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **root,
        "title": "linkedapi-monitor",
        "$defs": definitions,
    }


def _with_files(definition: dict[str, Any]) -> dict[str, Any]:
    """Add the `_file` form of each secret, which stands in for the secret itself."""
    properties = definition.get("properties", {})
    files = {f"{key}_file" for key, part in properties.items() if _is_secret(part)}
    if not files:
        return definition
    added = {key: {"type": "string"} for key in files - properties.keys()}
    required = [key for key in definition.get("required", ()) if f"{key}_file" not in files]
    return {**definition, "properties": {**properties, **added}, "required": required}

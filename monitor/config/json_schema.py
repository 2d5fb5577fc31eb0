"""The keys of the settings, and the JSON Schema of the whole file."""

import json
from collections.abc import Mapping
from dataclasses import is_dataclass
from functools import cache
from typing import Any, Final

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, models_json_schema

from monitor import notifiers
from monitor.notifiers import ReceiverSettings

from .document import Location
from .settings import Config


@cache
def adapter(kind: Any) -> TypeAdapter[Any]:
    """Return what validates a value of *kind*."""
    return TypeAdapter(kind)


def keys(kind: Any, location: Location = ()) -> tuple[str, ...]:
    """Return the keys that *kind* has at *location*, `_file` forms included."""
    files = () if location else (f"{key}_file" for key in secret_keys(kind))
    return tuple(dict.fromkeys((*declared(kind, location), *files)))


@cache
def declared(kind: Any, location: Location = ()) -> Mapping[str, Any]:
    """Return the keys that *kind* declares at *location*, each with its schema."""
    root = _schema(kind)
    schema = _resolved(root, root)
    for step in location:
        inner = schema.get("properties", {}).get(step)
        schema = _resolved(root, inner or schema.get("items") or {})
    properties: Mapping[str, Any] = schema.get("properties", {})
    return properties


@cache
def _schema(kind: Any) -> Mapping[str, Any]:
    return adapter(kind).json_schema(schema_generator=_Schema)


@cache
def secret_keys(kind: Any) -> tuple[str, ...]:
    """Return the keys of *kind* whose values are secrets: each has a `_file` form."""
    return tuple(key for key, schema in declared(kind).items() if _has_format(schema, "password"))


@cache
def path_keys(kind: Any) -> tuple[str, ...]:
    """Return the keys of *kind* whose values are the paths of files."""
    return tuple(key for key, schema in declared(kind).items() if _has_format(schema, "path"))


def _has_format(schema: Mapping[str, Any], name: str) -> bool:
    """Return whether *schema*, or an alternative of it, is text of the format *name*."""
    return any(form.get("format") == name for form in (schema, *schema.get("anyOf", ())))


def _resolved(root: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Follow references, and take the alternative that has keys or items."""
    while "$ref" in schema:
        schema = root["$defs"][schema["$ref"].rpartition("/")[2]]
    references = (*schema.get("anyOf", ()), *schema.get("oneOf", ()))
    alternatives = [_resolved(root, reference) for reference in references]
    for kind in ("properties", "items"):
        for alternative in alternatives:
            if kind in alternative:
                return alternative
    return schema


class _Schema(GenerateJsonSchema):
    """A schema whose defaults are written as in the file, and that has no names of the code."""

    def encode_default(self, dft: Any) -> Any:
        """Write a default, those in lists and those of whole sections too."""
        if isinstance(dft, tuple):
            return [self.encode_default(item) for item in dft]
        if is_dataclass(dft) or isinstance(dft, BaseModel):
            kind: Any = type(dft)
            return adapter(kind).dump_python(dft, mode="json", by_alias=True)
        return super().encode_default(dft)

    def get_default_value(self, schema: Any) -> Any:
        """Return the default; what a factory makes is one unless it depends on the machine."""
        factory = schema.get("default_factory")
        is_plain = factory is dict or (isinstance(factory, type) and is_dataclass(factory))
        return factory() if is_plain else super().get_default_value(schema)

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - pydantic's name
        """Give keys no titles: they say the same again."""
        return False


ID: Final = "urn:uuid:8081ede2-bebf-4b51-b007-6af470ebe88e"
"""What names the schema, wherever a copy of it is."""


def schema() -> dict[str, Any]:
    """Return the JSON Schema of the configuration file, all known types of receivers included."""
    types = {name: notifiers.settings_type(name) for name in notifiers.notifier_types()}
    models: list[type[BaseModel]] = [Config, *types.values()]
    references, whole = models_json_schema(
        [(model, "validation") for model in models], schema_generator=_Schema
    )
    root = _resolved(whole, references[Config, "validation"])
    kinds = [
        {
            "properties": {"type": {"const": name}},
            "required": ["type"],
            **references[model, "validation"],
        }
        for name, model in types.items()
    ]
    receivers = {**root["properties"]["receivers"], "items": {"anyOf": kinds}}
    definitions = whole["$defs"]
    for inlined in (Config, ReceiverSettings):
        del definitions[inlined.__name__]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": ID,
        "title": "linkedapi-monitor",
        "description": "The configuration file of linkedapi-monitor.",
        "type": "object",
        "properties": {**root["properties"], "receivers": receivers},
        "additionalProperties": False,
        "$defs": {name: _as_written(part) for name, part in definitions.items()},
    }


def schema_text() -> str:
    """Return the schema as it is printed, and as `config.schema.json` has it."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def _as_written(definition: dict[str, Any]) -> dict[str, Any]:
    """Say of a part what the file may hold, in place of what the code says of itself.

    The `_file` form of each secret stands in for the secret itself.
    """
    part = {key: value for key, value in definition.items() if key not in ("title", "description")}
    properties = part.get("properties", {})
    secrets = [key for key, value in properties.items() if _has_format(value, "password")]
    files = {
        f"{key}_file": {
            "type": ["string", "null"],
            "description": f"the file that holds `{key}`",
            "default": None,
            "examples": [f"/run/secrets/{key.replace('_', '-')}"],
        }
        for key in secrets
    }
    if files:
        part["properties"] = {**files, **properties}
        part["required"] = [key for key in part.get("required", ()) if key not in secrets]
    return part

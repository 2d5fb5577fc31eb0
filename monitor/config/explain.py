"""Turns the errors of pydantic into problems in plain terms, without any secret in them."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final
from zoneinfo import available_timezones

from pydantic import ValidationError

from monitor.core.text import NO_TIMEZONE
from monitor.notifiers import NAME

from .document import (
    Document,
    Location,
    SensitiveText,
    alternatives,
    is_presentable,
    is_word,
    looks_secret,
    suggestion,
)
from .json_schema import keys, secret_keys

_SENSITIVE: Final = re.compile(
    r"token|secret|password|url|proxy|webhook|header|key|auth|credential|dsn"
)
_ALTERNATIVE: Final = "\0"
"""How a setting that has two forms marks them in the location of its errors."""

_UNKNOWN: Final = frozenset({"extra_forbidden", "unexpected_keyword_argument"})
_MESSAGES: Final = {
    "string_type": "must be text",
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float"), "must be a whole number"),
    "int_parsing_size": "must be a smaller number",
    **dict.fromkeys(("float_type", "float_parsing"), "must be a number"),
    "finite_number": "must be a finite number",
    **dict.fromkeys(("bool_type", "bool_parsing"), "must be true or false"),
    **dict.fromkeys(("list_type", "tuple_type"), "must be a list"),
    **dict.fromkeys(("dict_type", "model_type", "dataclass_type"), "must hold keys and values"),
    "path_type": "must be the path of a file",
    "greater_than_equal": "must be {ge} or more",
    "greater_than": "must be more than {gt}",
    "less_than_equal": "must be {le} or less",
    "less_than": "must be less than {lt}",
    "too_short": "must have {min_length} or more entries",
    "too_long": "must have {max_length} or fewer entries",
    "string_too_short": "must have {min_length} or more characters",
    "string_too_long": "must have {max_length} or fewer characters",
}
_PATTERNS: Final = {
    NAME: "must be letters, digits, `.`, `_` and `-`, at most 64, the first a letter or digit",
}


def report_unknown(document: Document, location: Location, allowed: tuple[str, ...]) -> None:
    """Report a key that is not among the *allowed* ones."""
    key = str(location[-1])
    hint = suggestion(key, allowed) if is_word(key) else ""
    document.report(location, f"unknown key{hint}")


def report_invalid(
    error: ValidationError, document: Document, section: Location, kind: Any
) -> None:
    """Report the problems in *error* about the value of *kind* at *section* of *document*."""
    for details in error.errors(include_url=False, include_input=False):
        path = tuple(step for step in details["loc"] if not str(step).startswith(_ALTERNATIVE))
        location = (*section, *path)
        if details["type"] in _UNKNOWN:
            report_unknown(document, location, keys(kind, path[:-1]))
        elif details["type"] != "missing":
            location = document.find(location)[1]
            message = _message(details, document, location)
            document.report(*_split_key(document, location, message))
        elif len(path) == 1 and (key := path[0]) in secret_keys(kind):
            document.report(location, f"needs {key} or {key}_file", shown=section)
        else:
            document.report(location, "is missing")


def _split_key(document: Document, location: Location, message: str) -> tuple[Location, str]:
    """Return the location of the key that *message* begins with, if it does, and the rest of it."""
    value = document.find(location)[2]
    key, _, rest = message.partition(" ")
    if isinstance(value, Mapping) and key in value and rest.startswith(("must ", "is ", "has ")):
        return (*location, key), rest
    return location, message


def _message(details: Mapping[str, Any], document: Document, location: Location) -> str:
    value = document.find(location)[2]
    context = details.get("ctx", {})
    secrets = list(_sensitive_texts(value, str(location[-1]) if location else ""))
    match details["type"]:
        case "value_error" | "assertion_error":
            message = str(context["error"])
            if message == NO_TIMEZONE and is_presentable(value):
                message += f", not {value!r}{suggestion(value, available_timezones())}"
        case "literal_error" | "enum":
            message = _choice(str(context["expected"]), value)
        case "string_pattern_mismatch":
            message = _PATTERNS.get(context["pattern"], f"must match {context['pattern']}")
        case kind if kind in _MESSAGES:
            message = _MESSAGES[kind].format_map(context)
        case _:
            message = str(details["msg"]).replace("Input should be", "must be", 1)
    if message == "must be text" and isinstance(value, int | float):
        message = "must be text: put it in quotes"
    return _redact(message, secrets)


def _choice(expected: str, value: Any) -> str:
    """Return which words are possible (*expected* is pydantic's own list of them)."""
    words = [
        word or truth.lower() for word, truth in re.findall(r"'([^']*)'|\b(True|False)\b", expected)
    ]
    message = f"must be {alternatives(words)}"
    if not isinstance(value, str) or not is_word(value):
        return message
    hint = suggestion(value, words) if len(words) > 4 else ""
    return f"{message}, not {value!r}{hint}"


def _sensitive_texts(value: Any, key: str) -> Iterator[str]:
    """Yield the texts within *value* that no message may repeat."""
    if isinstance(value, Mapping):
        for name, part in value.items():
            yield from _sensitive_texts(part, f"{key} {name}")
    elif isinstance(value, list):
        for part in value:
            yield from _sensitive_texts(part, key)
    elif isinstance(value, str) and (
        isinstance(value, SensitiveText) or _SENSITIVE.search(key) or looks_secret(value)
    ):
        yield value


def _redact(message: str, secrets: list[str]) -> str:
    for text in (message, message.partition(", not ")[0]):
        if not any(_repeats(text, secret) for secret in secrets):
            return text
    return "is not valid (the value is not shown)"


def _repeats(text: str, secret: str) -> bool:
    """Return whether *text* repeats *secret*, or ten characters of it; a port is none."""
    if re.fullmatch(r":?\d{1,5}", secret):
        return False
    if len(secret) < 4:
        return repr(secret) in text
    parts = [text[start : start + 10] for start in range(len(text) - 9)]
    return any(
        form in text or any(part in form for part in parts) for form in (secret, repr(secret)[1:-1])
    )

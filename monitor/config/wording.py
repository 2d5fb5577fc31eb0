"""Says in people's words what pydantic found, and never shows what must not be seen."""

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final
from zoneinfo import available_timezones

from pydantic import ValidationError

from monitor.core.text import NO_TIMEZONE

from .document import Document, Hidden, Place, is_word
from .settings import NAME, keys, secret_keys

MOST_KNOWN: Final = 1000
"""More words than these are not searched for the one that was meant."""

_SECRETIVE: Final = re.compile(
    r"token|secret|password|url|proxy|webhook|header|key|auth|credential|dsn"
)
_ALTERNATIVE: Final = "\0"  # how a setting that can have two forms marks them in its errors
_UNKNOWN: Final = frozenset({"extra_forbidden", "unexpected_keyword_argument"})
_WORDS: Final = {
    "string_type": "must be text",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "must be a smaller number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "dict_type": "must hold keys and values",
    "model_type": "must hold keys and values",
    "dataclass_type": "must hold keys and values",
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


def suggestion(word: str, known: Iterable[str]) -> str:
    """Say which of the *known* words was probably meant, or nothing: `; did you mean url?`."""
    some = sorted(islice(known, MOST_KNOWN))
    near = difflib.get_close_matches(word[:64], some, n=1, cutoff=0.75)
    return f"; did you mean {near[0]}?" if near else ""


def alternatives(words: Sequence[str]) -> str:
    """Join *words* as a person would: `a, b or c`."""
    return " or ".join(filter(None, (", ".join(words[:-1]), words[-1]))) if words else "nothing"


def report_unknown(document: Document, place: Place, known: tuple[str, ...]) -> None:
    """Report a key that is not among the *known* ones."""
    key = str(place[-1])
    near = suggestion(key, known) if is_word(key) else ""
    document.report(place, f"unknown key{near}")


def explain(error: ValidationError, document: Document, place: Place, kind: Any) -> None:
    """Report what *error* says of the value of *kind* at *place* of *document*."""
    for found in error.errors(include_url=False, include_input=False):
        within = tuple(one for one in found["loc"] if not str(one).startswith(_ALTERNATIVE))
        where = (*place, *within)
        if found["type"] in _UNKNOWN:
            report_unknown(document, where, keys(kind, within[:-1]))
        elif found["type"] != "missing":
            where = document.find(where)[1]
            message = _message(found, document, where)
            document.report(*_named(document, where, message))
        elif len(within) == 1 and (key := within[0]) in secret_keys(kind):
            document.report(where, f"needs {key} or {key}_file", shown=place)
        else:
            document.report(where, "is missing")


def _named(document: Document, place: Place, message: str) -> tuple[Place, str]:
    """Return the place of the key that *message* begins with, if it does, and the rest of it."""
    value = document.find(place)[2]
    key, _, rest = message.partition(" ")
    if isinstance(value, Mapping) and key in value and rest.startswith(("must ", "is ", "has ")):
        return (*place, key), rest
    return place, message


def _message(found: Mapping[str, Any], document: Document, place: Place) -> str:
    value = document.find(place)[2]
    context = found.get("ctx", {})
    hidden = list(_hidden(value, str(place[-1]) if place else ""))
    match found["type"]:
        case "value_error" | "assertion_error":
            message = str(context["error"])
            if message == NO_TIMEZONE and isinstance(value, str):
                message += f", not {value!r}{suggestion(value, available_timezones())}"
        case "literal_error" | "enum":
            message = _choice(str(context["expected"]), value)
        case "string_pattern_mismatch":
            message = _PATTERNS.get(context["pattern"], f"must match {context['pattern']}")
        case kind if kind in _WORDS:
            message = _WORDS[kind].format_map(context)
        case _:
            message = str(found["msg"]).replace("Input should be", "must be", 1)
    if message == "must be text" and isinstance(value, int | float):
        message = "must be text: put it in quotes"
    return _safe(message, hidden)


def _choice(expected: str, value: Any) -> str:
    """Say which words are possible (*expected* is pydantic's own list of them)."""
    words = re.findall(r"'([^']*)'", expected)
    message = f"must be {alternatives(words)}"
    if not isinstance(value, str) or not is_word(value):
        return message
    near = suggestion(value, words) if len(words) > 4 else ""
    return f"{message}, not {value!r}{near}"


def _hidden(value: Any, key: str) -> Iterator[str]:
    """Yield the texts within *value* that no message may repeat."""
    if isinstance(value, Mapping):
        for name, part in value.items():
            yield from _hidden(part, f"{key} {name}")
    elif isinstance(value, list):
        for part in value:
            yield from _hidden(part, key)
    elif isinstance(value, Hidden) or (isinstance(value, str) and _SECRETIVE.search(key)):
        yield value


def _safe(message: str, hidden: list[str]) -> str:
    for text in (message, message.partition(", not ")[0]):
        if not any(_tells(text, secret) for secret in hidden):
            return text
    return "is not valid (the value is not shown)"


def _tells(text: str, secret: str) -> bool:
    """Say whether *text* repeats *secret*, or ten characters of it."""
    written_out = repr(secret)[1:-1]
    if len(secret) < 4:
        return repr(secret) in text
    if secret in text or written_out in text:
        return True
    parts = (text[start : start + 10] for start in range(len(text) - 9))
    return any(part in secret or part in written_out for part in parts)

import pytest
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from monitor.config.document import Document
from monitor.config.explain import report_invalid
from monitor.config.file import parse


class Inner(BaseModel, extra="forbid"):
    even: int = Field(default=2, multiple_of=2)


class Outer(BaseModel, extra="forbid"):
    inner: Inner | None = None
    inners: tuple[Inner, ...] = ()


def problems_in(text: str) -> list[str]:
    document: Document = parse(text, {}, source="x")
    try:
        TypeAdapter(Outer).validate_python(document.root)
    except ValidationError as error:
        report_invalid(error, document, (), Outer)
    return [str(problem) for problem in document.problems]


def test_what_has_no_words_of_its_own_is_said_in_those_of_pydantic():
    assert problems_in("inner: {even: 3}") == ["x:1: inner.even: must be a multiple of 2"]


def test_keys_are_suggested_within_optional_sections_and_lists():
    assert problems_in("inner: {evn: 2}\ninners:\n  - {evn: 2}") == [
        "x:1: inner.evn: unknown key; did you mean even?",
        "x:3: inners[0].evn: unknown key; did you mean even?",
    ]


WRONG = {
    "a misspelt key": ("poll: {evry: 1m}", "2: poll.evry: unknown key; did you mean every?"),
    "a misspelt key of a dataclass": (
        "incidents:\n  flapping: {change: 3}",
        "3: incidents.flapping.change: unknown key; did you mean changes?",
    ),
    "a key like no other": ("zzz: 1", "2: zzz: unknown key"),
    "a key that may be a secret": ("xoxb-1234567890=: 1", "2: …: unknown key"),
    "a section that is a word": ("poll: often", "2: poll: must hold keys and values"),
    "a policy that is a word": ("incidents: 5", "2: incidents: must hold keys and values"),
    "a word that is a section": ("timezone: {}", "2: timezone: must be text"),
    "a number for text": ("timezone: 5", "2: timezone: must be text: put it in quotes"),
    "a number for a duration": (
        "poll: {every: 60}",
        "2: poll.every: must be a duration such as 30s, 5m, 2h or 7d, not 60",
    ),
    "text for a number": (
        "incidents: {open_after: soon}",
        "2: incidents.open_after: must be a whole number",
    ),
    "a fraction": (
        "incidents: {open_after: 1.5}",
        "2: incidents.open_after: must be a whole number",
    ),
    "infinity": (
        "incidents: {open_after: .inf}",
        "2: incidents.open_after: must be a finite number",
    ),
    "a number out of range": (
        "linked_api: {requests_per_minute: 101}",
        "2: linked_api.requests_per_minute: must be 100 or less",
    ),
    "text for a truth": (
        "metrics: {account_names: maybe}",
        "2: metrics.account_names: must be true or false",
    ),
    "a word that is no choice": (
        "log: {format: jsn}",
        "2: log.format: must be json or console, not 'jsn'",
    ),
    "one of many words": (
        "routes:\n  - to: ops\n    match: {cause: frozne}\nreceivers: [{name: ops, type: log}]",
        (
            "4: routes[0].match.cause: must be reconnection_required, frozen, unknown, flapping,"
            " unreachable, token_rejected, rate_limited or bad_response, not 'frozne';"
            " did you mean frozen?"
        ),
    ),
    "a number for a word": ("log: {format: 5}", "2: log.format: must be json or console"),
    "what a part says of a key of its own": (
        "incidents:\n  open_after: 1\n  remind_max: -1",
        "4: incidents.remind_max: must not be negative",
    ),
    "what a part says of an item": (
        "incidents:\n  remind:\n    - 1h\n    - often",
        "5: incidents.remind[1]: must be a duration such as 30s, 5m, 2h or 7d, not 'often'",
    ),
    "an item that is a word": ("routes: [ops]", "2: routes[0]: must hold keys and values"),
    "a receiver that is a word": ("receivers: [ops]", "2: receivers[0]: must hold keys and values"),
    "a missing key": ("receivers:\n\n  - {type: log}", "4: receivers[0].name: is missing"),
    "a name with spaces": (
        "receivers: [{name: my ops, type: log}]",
        (
            "2: receivers[0].name: must be letters, digits, `.`, `_` and `-`,"
            " at most 64, the first a letter or digit"
        ),
    ),
    "a route to nobody": ("routes: [{to: []}]", "2: routes[0].to: must have 1 or more entries"),
    "a time zone of no place": (
        "timezone: Europe/Berln",
        (
            "2: timezone: must be a time zone such as UTC or Europe/Berlin, not 'Europe/Berln';"
            " did you mean Europe/Berlin?"
        ),
    ),
    "a time zone from a variable": (
        "timezone: ${TEXT}",
        "2: timezone: must be a time zone such as UTC or Europe/Berlin",
    ),
    "a time zone that is a folder": ("timezone: Europe", "2: timezone: must be a time zone"),
    "a receiver's time zone": (
        "receivers: [{name: ops, type: log, timezone: Mars}]",
        "2: receivers[0].timezone: must be a time zone",
    ),
    "an address that is a number": (
        "web: {listen: 80}",
        "2: web.listen: must be text: put it in quotes",
    ),
    "a token of digits": (
        "workspaces: [{token: 123456}]",
        "1: workspaces[0].token: must be text: put it in quotes",
    ),
}


@pytest.mark.parametrize(("text", "expected"), WRONG.values(), ids=WRONG)
def test_what_is_invalid_is_reported_once_with_its_line(only_problem_of, text, expected):
    assert only_problem_of(text).startswith(expected)

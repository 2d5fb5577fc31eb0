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

import math
import time
from contextlib import suppress
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monitor.config import ConfigError, load
from monitor.config.file import parse

from .conftest import WORKSPACE


def value_of(scalar, **environ):
    document = parse(f"value: {scalar}\n", environ, source="test.yaml")
    assert document.problems == []
    return document.root["value"]


@pytest.mark.parametrize(
    ("scalar", "expected"),
    [
        ("no", "no"),
        ("on", "on"),
        ("y", "y"),
        ("22:00", "22:00"),
        ("1:30:00", "1:30:00"),
        ("2026-11-23", "2026-11-23"),
        ("1_000", "1_000"),
        ("0b11", "0b11"),
        ("=", "="),
        ("017", 17),
        ("0o17", 15),
        ("0x1f", 31),
        ("-12", -12),
        ("1.50", 1.5),
        ("1e3", 1000.0),
        ("+.5", 0.5),
        (".inf", math.inf),
        ("-.INF", -math.inf),
        ("true", True),
        ("FALSE", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("'1'", "1"),
        ('"null"', "null"),
        ("! 1", "1"),
        ("!!str 1", "1"),
        (">-\n  1", "1"),
        ("9" * 50, float("9" * 50)),
        ("1.2.3", "1.2.3"),
    ],
)
def test_scalars_are_those_of_yaml_1_2(scalar, expected):
    value = value_of(scalar)

    assert value == expected
    assert type(value) is type(expected)


def test_not_a_number_is_a_number():
    assert math.isnan(value_of(".nan"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1: a\ntrue: b\non: c\n'x': d\n", {"1": "a", "true": "b", "on": "c", "x": "d"}),
        ("# ${X}\n'${X}': 1\n", {"${X}": 1}),
        ("a: &x [1, &y 2]\nb: *x\nc: *y\n", {"a": [1, 2], "b": [1, 2], "c": 2}),
    ],
    ids=["keys are text", "keys and comments do not expand", "aliases stand for what they name"],
)
def test_documents_are_read(text, expected):
    assert parse(text, {}, source="test.yaml").root == expected


@pytest.mark.parametrize(
    ("scalar", "expected"),
    [
        ("${A}", "one"),
        ("x${A}y${A}z", "xoneyonez"),
        ("'${A}'", "one"),
        ("${A:-two}", "one"),
        ("${B:-two}", "two"),
        ("${B:-}", ""),
        ("${EMPTY:-two}", "two"),
        ("${EMPTY}", ""),
        ("$${A}", "${A}"),
        ("$$${A}", "$${A}"),
        ("$A $ {A}", "$A $ {A}"),
        ("[${A}, {b: ${A}}]", ["one", {"b": "one"}]),
        ("{a: $${A}}", {"a": "${A}"}),
        ("${NESTED}", "${A}"),
        ("${YAML}", "{a: [1]}"),
        ("${NUMBER}", "5"),
        ("|\n  ${A}\n", "one\n"),
    ],
)
def test_variables_expand_to_text_once(scalar, expected):
    environ = {"A": "one", "EMPTY": "", "NESTED": "${A}", "YAML": "{a: [1]}", "NUMBER": "5"}

    assert value_of(scalar, **environ) == expected


def test_a_number_may_come_from_the_environment(load_text):
    config = load_text(
        WORKSPACE + "linked_api: {requests_per_minute: ${N}}\npoll: {every: ${EVERY:-90s}}", N="5"
    )

    assert config.linked_api.requests_per_minute == 5
    assert str(config.poll.every) == "90s"


BAD = {
    "two documents": ("a: 1\n---\nb: 2\n", "2: a second document starts here (---); write only"),
    "a list": ("- a\n", "1: must hold keys and values, such as `workspaces:`"),
    "a word": ("hello", "1: must hold keys and values, such as `workspaces:`"),
    "a tab": (
        "a:\n\tb: 1\n",
        "2: is not valid YAML (column 1): found character that cannot start any",
    ),
    "two colons": ("a: b: c\n", "1: is not valid YAML (column 5): mapping values are not allowed"),
    "an open list": (
        "a: [1,\n\nb\n",
        "4: is not valid YAML (column 1): while parsing a flow sequence from line 1",
    ),
    "an open quote": ("a: 'x\n", "2: is not valid YAML"),
    "a merge key": ("a: &x {}\nb:\n  <<: *x\n", "3: merge keys (<<) are not supported"),
    "a tag": ("a: !secret x\n", "1: tags are not supported; quote text that starts with !"),
    "a tagged list": ("a: !!set {}\n", "1: tags are not supported; quote text that starts with !"),
    "a list as key": ("? [a]\n: b\n", "1: a key must be text; put text with [ or { in quotes"),
    "an alias as key": ("a: &x b\n*x : c\n", "2: an alias cannot be a key"),
    "an alias to nothing": ("a: *hunter2\n", "1: an alias has no anchor; quote text that starts"),
    "an alias to itself": ("a: &x\n  - *x\n", "2: an alias stands within its own anchor"),
    "a control character": ("a: 1\nb: \x01\n", "2: the character U+0001 is not allowed"),
    "depth": ("a: " + "[" * 40 + "]" * 40, "1: is nested deeper than 32 levels"),
    "depth by aliases": (
        "a: &a " + "[" * 20 + "]" * 20 + "\nb: " + "[" * 20 + "*a" + "]" * 20,
        "2: is nested deeper than 32 levels",
    ),
    "text that begins with a star": (
        "cron: */5 * * * *\n",
        (
            "1: is not valid YAML (column 8): did not find expected alphabetic or numeric"
            " character; text that begins with * needs quotes"
        ),
    ),
    "bottomless depth": ("a: " + "[" * 1_000_000, "1: is nested deeper than 32 levels"),
    "bottomless indentation": ("- " * 100_000, "1: is nested deeper than 32 levels"),
}


@pytest.mark.parametrize(("text", "expected"), BAD.values(), ids=BAD)
def test_a_document_that_cannot_be_used_is_one_clear_line(problems_of, text, expected):
    (problem,) = problems_of(text)

    assert problem.startswith(expected)


WRONG = {
    "a key written twice": (
        "poll:\n  every: 1m\n  every: 2m",
        "4: poll.every: is written twice; the first is in line 3",
    ),
    "an unset variable": (
        "web:\n  metrics_token: ${HUSH}",
        "3: web.metrics_token: the environment variable HUSH is not set",
    ),
    "an unset variable in a list": (
        "receivers: [{name: ops, type: log}]\nroutes: [{to: [ops, '${OPS}']}]",
        "3: routes[0].to[1]: the environment variable OPS is not set",
    ),
    "a variable of another encoding": (
        "timezone: ${BYTES}",
        "2: timezone: the environment variable BYTES is not UTF-8 text",
    ),
    "a brace without a name": (
        "timezone: ${}",
        "2: timezone: write ${NAME} for a variable, $${ for the text ${",
    ),
}


@pytest.mark.parametrize(("text", "expected"), WRONG.values(), ids=WRONG)
def test_a_problem_in_a_document_is_reported_once_with_its_line(only_problem_of, text, expected):
    assert only_problem_of(text).startswith(expected)


def test_the_file_must_be_readable(tmp_path):
    for path, reason in (
        (tmp_path / "absent.yaml", "cannot be read: No such file or directory"),
        (tmp_path, "cannot be read: Is a directory"),
        (Path("a\0b"), "cannot be read: not a path"),
    ):
        with pytest.raises(ConfigError) as caught:
            load(path, {})
        assert str(caught.value) == f"{path}: {reason}"


def test_a_file_beyond_all_measure_is_not_read(tmp_path):
    file = tmp_path / "config.yaml"
    file.write_bytes(b"#" * (16 * 1024 * 1024 + 1))

    with pytest.raises(ConfigError, match="is larger than 16 MiB"):
        load(file, {})


def test_text_in_another_encoding_is_refused_with_its_line(problems_of):
    assert problems_of(b"a: 1\nb: \xe9\n") == ["2: is not UTF-8 text"]
    assert problems_of("a: 1".encode("utf-16")) == ["1: is not UTF-8 text"]


def test_a_byte_order_mark_does_no_harm(load_text):
    assert load_text(b"\xef\xbb\xbf" + WORKSPACE.encode()).workspaces


def test_a_billion_laughs_end_at_once(problems_of):
    text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]\n" for level in range(1, 12)
    )
    started = time.process_time()

    (problem,) = problems_of(text)

    assert "the document has more than 500,000 values" in problem
    assert time.process_time() - started < 1


def test_what_was_wrong_before_the_end_is_said_too(problems_of):
    problems = problems_of("a: ${UNSET}\na: 2\nb: [\n")

    assert [line.partition(":")[0] for line in problems] == ["1", "2", "4"]


def test_a_flood_of_problems_ends(problems_of):
    problems = problems_of("a:\n" + "- ${UNSET}\n" * 30_000)

    assert len(problems) == 20_001
    assert problems[-1] == "20001: is the last line that was looked at"


TEXTS = st.one_of(
    st.text(max_size=200),
    st.lists(
        st.sampled_from(
            [*"[]{}:,-?&*!|>'\"%@`#~$\n\t ", "\n  ", "- ", ": ", "${", "${A}", "$${", "<<", "*a",
             "&a ", "workspaces", "receivers", "routes", "token", "type", "slack", "name",
             "poll", "every",
             "to", "match", "1", "60s", "null", "---\n", "\ufeff", "\x85", "\U0010fffc", "_file"]
        ),
        max_size=40,
    ).map("".join),
)  # fmt: skip


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=TEXTS)
def test_no_text_raises_anything_but_a_config_error(load_text, text):
    with suppress(ConfigError):
        load_text(text.encode(errors="surrogatepass"), A="secret", LINKED_API_TOKEN="abc")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["name", "token", "token_file", "poll", "every", "type", "url", "to", "match",
                 "labels", "cause", "workspace", "flapping", "remind", "listen",
                 "metrics_token_file", "create", "link", "level"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)  # fmt: skip
SECTIONS = st.sampled_from(
    ["workspaces", "linked_api", "poll", "incidents", "reconnection", "receivers", "routes",
     "fallback", "delivery", "storage", "web", "metrics", "log", "timezone"]
)  # fmt: skip


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tree=st.dictionaries(SECTIONS, JSON, max_size=6))
def test_no_value_anywhere_raises_anything_but_a_config_error(load_text, tree):
    with suppress(ConfigError):
        load_text(yaml.safe_dump(tree))

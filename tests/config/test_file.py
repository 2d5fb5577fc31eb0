import math
import time
from pathlib import Path

import pytest

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
        ('{a: "$${x", b: 1}', {"a": "${x", "b": 1}),
        ("${NESTED}", "${A}"),
        ("${YAML}", "{a: [1]}"),
        ("${NUMBER}", "5"),
        ("|\n  ${A}\n", "one"),
        ("x${LINE}y", "xoney"),
    ],
)
def test_variables_expand_to_text_once(scalar, expected):
    environ = {"A": "one", "EMPTY": "", "NESTED": "${A}", "YAML": "{a: [1]}", "NUMBER": "5"}
    environ["LINE"] = "one\r\n"

    assert value_of(scalar, **environ) == expected


def test_a_number_may_come_from_the_environment(load_text):
    config = load_text(
        WORKSPACE + "linked_api: {requests_per_minute: ${N}}\npoll: {every: ${EVERY:-90s}}", N="5"
    )

    assert config.linked_api.requests_per_minute == 5
    assert str(config.poll.every) == "90s"


def test_the_file_must_be_readable(tmp_path):
    for path, reason in (
        (tmp_path / "absent.yaml", "cannot be read: No such file or directory"),
        (tmp_path, "cannot be read: Is a directory"),
        (Path("a\0b"), "cannot be read: not a path"),
    ):
        with pytest.raises(ConfigError) as caught:
            load(path, {})
        advice = "name one with --config or LINKEDAPI_MONITOR_CONFIG"
        assert str(caught.value) == f"{path}: {reason}; {advice}"


def test_a_file_beyond_all_measure_is_not_read(tmp_path):
    file = tmp_path / "config.yaml"
    file.write_bytes(b"#" * (16 * 1024 * 1024 + 1))

    with pytest.raises(ConfigError, match="is larger than 16 MiB"):
        load(file, {})


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


def test_a_flood_of_problems_ends(problems_of):
    problems = problems_of("a:\n" + "- ${UNSET}\n" * 30_000)

    assert len(problems) == 20_001
    assert problems[-1] == "20001: is the last line that was looked at"

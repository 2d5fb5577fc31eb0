import io
import json
import re
import sys
import unicodedata

import pytest

from monitor.cli.output import Exit, print_error, print_json, print_lines, print_rows, worst
from monitor.cli.table import _cell, _fit


def test_the_exit_code_that_matters_most_wins():
    assert worst([]) is Exit.OK
    assert worst([Exit.FROZEN, Exit.NEEDS_LOGIN, Exit.OK]) is Exit.NEEDS_LOGIN
    assert worst(Exit) is Exit.AUTH_OR_CONFIG


@pytest.mark.usefixtures("recorded")
def test_on_a_terminal_lists_are_tables_that_fit(on_a_terminal, configured):
    code, accounts = on_a_terminal("accounts", "-c", configured())
    _, deliveries = on_a_terminal("deliveries", "-c", configured())

    assert code == 0
    heading, *rows = accounts.splitlines()
    assert heading.split() == ["workspace", "name", "status", "since", "(UTC)", "id"]
    assert len(rows) == 3
    assert re.search(r"Person out +reconnection_required +2026-11-23 12:02 +out", accounts)
    assert max(map(len, [*accounts.splitlines(), *deliveries.splitlines()])) <= 80


@pytest.mark.usefixtures("store")
def test_on_a_terminal_nothing_to_list_is_a_sentence_and_an_error_a_line(
    on_a_terminal, configured, tmp_path
):
    assert on_a_terminal("incidents", "-c", configured()) == (0, "no incident is open\n")
    code, shown = on_a_terminal("accounts", "-c", f"{tmp_path}/nowhere.yaml")
    assert code == 2
    assert shown.startswith("error: ")


HOSTILE = "a\x1b[31m\x9b2J\u202eb\u2066c\x7f\u200f é"


def test_no_output_moves_the_cursor_or_turns_text_round(capsys, monkeypatch):
    print_json({"name": HOSTILE})
    print_lines(f"{HOSTILE}\nanother")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    print_error("error", HOSTILE)
    row = {"name": HOSTILE, "link": HOSTILE}
    print_rows([row], as_json=False, columns=["name"], empty="", below="link")
    out, err = capsys.readouterr()

    for text in (out, err):
        assert not {c for c in text if unicodedata.category(c) in ("Cc", "Cf")} - {"\n"}
    assert json.loads(out.splitlines()[0])["data"] == {"name": HOSTILE}
    assert "é" in out
    assert err == "error: a\\x1b[31m\\x9b2J\\u202eb\\u2066c\\x7f\\u200f é\n"


def test_json_is_json_whatever_the_encoding_of_the_output(monkeypatch):
    written = io.BytesIO()
    stream = io.TextIOWrapper(written, encoding="latin-1", errors="backslashreplace")
    monkeypatch.setattr(sys, "stdout", stream)
    print_json({"name": f"{HOSTILE} 🦊"})
    stream.flush()

    assert json.loads(written.getvalue())["data"] == {"name": f"{HOSTILE} 🦊"}


@pytest.mark.odd_input("hostile name")
def test_a_name_in_a_table_reaches_into_no_other_line():
    assert _cell("name", "\u0651ش" + "\u0651" * 90, 0).plain == "ش" + "\u0651" * 4


def test_columns_fit_a_terminal_and_words_are_broken_last():
    columns = [["name", "Carla Tanaka"], ["status", "reconnection_required"], ["a b", "c d e f"]]

    assert _fit(columns, 80) == (2, [12, 21, 7])
    assert _fit(columns, 38) == (2, [9, 21, 4])
    assert _fit(columns, 30) == (1, [6, 21, 1])
    assert _fit(columns, 20) == (1, [6, 11, 1])
    assert _fit(columns, 1) == (1, [6, 8, 1])


@pytest.mark.usefixtures("recorded")
def test_a_table_or_json_is_printed_wherever_it_goes_if_asked_for(run, configured):
    table = run("accounts", "--table", "-c", configured())
    assert table.out.startswith("workspace  name")
    assert run("accounts", "--json", "-c", configured()).data
    assert run("accounts", "--table", "--json", "-c", configured()).data  # the last one counts


def test_in_a_pipe_no_line_of_a_table_is_broken(capsys):
    print_rows([{"a": "x " * 60, "b": "y " * 60}], as_json=False, columns=["a", "b"], empty="")

    assert len(capsys.readouterr().out.splitlines()) == 2

import json
import re
import sys
import unicodedata

import pytest

from monitor.cli.output import Exit, _cell, print_error, print_json, print_lines, print_rows, worst


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
    monkeypatch.setenv("TERM", "dumb")  # else headings are bold
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    print_rows([{"name": HOSTILE}], as_json=False, columns=["name"], empty="")
    out, err = capsys.readouterr()

    for text in (out, err):
        assert not {c for c in text if unicodedata.category(c) in ("Cc", "Cf")} - {"\n"}
    assert json.loads(out.splitlines()[0])["data"] == {"name": HOSTILE}
    assert "é" in out
    assert err == "error: a\\x1b[31m\\x9b2J\\u202eb\\u2066c\\x7f\\u200f é\n"


@pytest.mark.odd_input("hostile name")
def test_a_name_in_a_table_reaches_into_no_other_line():
    assert _cell("name", "\u0651ش" + "\u0651" * 90).plain == "ش" + "\u0651" * 4

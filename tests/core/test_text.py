"""Text of others made safe to show, to log and to store."""

import pytest
from harness.core import LINK, NOON
from hypothesis import given
from hypothesis import strategies as st
from notifiers.notifications import INVISIBLE

from monitor.core.text import REDACTED, check_timezone, clean, format_time, redact, sanitize

TOKEN = "sesame-opens-every-door"  # of no shape that gives it away


@given(st.text(), st.integers(2, 200))
def test_clean_text_is_one_visible_line_within_its_limit(text, limit):
    cleaned = clean(text, limit)

    assert len(cleaned) <= limit
    assert not INVISIBLE & set(cleaned)
    assert cleaned == cleaned.strip()
    assert clean(cleaned, limit) == cleaned
    cleaned.encode()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Jane\r\n \tDoe", "Jane Doe"),
        ("Jane\x1b[31m\u202eDoe", "Jane [31m Doe"),
        (f"log in at {LINK}, please", "log in at [hidden] please"),
        ("the token linked_abcdefgh1234 is bad", "the token [hidden] is bad"),
        ("id_short is none", "id_short is none"),
        (f"Bad {TOKEN}!", "Bad [hidden]!"),
        ("x" * 41, "x" * 39 + "…"),
        (f"{'x' * 35} {LINK}", f"{'x' * 35} [hi…"),
        ("", ""),
    ],
)
def test_redacted_text_is_one_line_without_secrets(text, shown):
    assert redact(text, limit=40, secret=TOKEN) == shown


@given(st.text(), st.text(), st.integers(12, 60))
def test_no_part_of_a_secret_remains_whatever_stands_around_it(before, after, limit):
    shown = redact(f"{before} {TOKEN} {after}", limit=limit, secret=TOKEN)

    assert len(shown) <= limit
    assert shown.isprintable()
    assert "sesame" not in shown.replace(REDACTED, "")


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("as it was \u202e\n", "as it was \u202e\n"),
        ("\ud800lone", "?lone"),
        ("a\0b", "a\ufffdb"),
        ("x" * 100, "x" * 50),
    ],
)
def test_sanitized_text_can_be_stored_and_is_otherwise_as_it_was(text, stored):
    assert sanitize(text, limit=50) == stored


def test_a_time_is_that_of_the_zone():
    assert format_time(NOON, "UTC") == "Mon 23 Nov 2026, 12:00 UTC"
    assert format_time(NOON, "Asia/Kolkata") == "Mon 23 Nov 2026, 17:30 IST"


@pytest.mark.parametrize("name", ["Mars/Olympus", "", "../etc/passwd", "Europe/Berlin\0"])
def test_what_is_no_time_zone_is_refused(name):
    assert check_timezone("Europe/Berlin") == "Europe/Berlin"
    with pytest.raises(ValueError, match="must be a time zone such as UTC"):
        check_timezone(name)

"""Text of others made safe to show, to log and to store."""

import unicodedata

import pytest
from harness.core import HOUR, LINK, MINUTE, NOON
from harness.notifications import ADDRESS, INVISIBLE, NAMES
from hypothesis import given
from hypothesis import strategies as st
from linkify_it import LinkifyIt

from monitor.core.text import (
    MAX_MARKS,
    REDACTED,
    WORD_JOINER,
    bare,
    check_timezone,
    clean,
    format_interval,
    format_time,
    iso_time,
    redact,
    sanitize,
    set_off,
)

LINKIFY = LinkifyIt({}, {"fuzzy_ip": True}).tlds("example", keep_old=True)
TOKEN = "sesame-opens-every-door"  # of no shape that gives it away


@given(st.text(), st.integers(2, 200))
def test_clean_text_is_one_visible_line_within_its_limit(text, limit):
    cleaned = clean(text, limit)

    assert len(cleaned) <= limit
    assert not INVISIBLE & set(cleaned)
    assert cleaned == cleaned.strip()
    cleaned.encode()


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_a_name_of_any_language_stays_as_it_is(name):
    assert clean(name).replace(WORD_JOINER, "") == name
    assert clean(f"\u202e\u200b{name}\u200e \u200d\u200c") == clean(name)


@pytest.mark.parametrize(
    "joined",
    [
        *("a\u200db", "a\u200cb", "\u200d", "山\u200d田", "🦊\u200da", "a\u200d🦊", "م\u200da"),
        *("🦊\u200c🦊", "ก\u200dก", "x\u0300\u200cb", "م\u200c"),
    ],
)
def test_what_joins_or_parts_nothing_does_not_stay(joined):
    assert clean(joined) == joined.replace("\u200d", "").replace("\u200c", "")


@pytest.mark.parametrize(
    "letter", ["Z", "я", "ש", "م", "न", "ก", "ល", "မ", "བ", "한", "山", "🦊", "1"], ids=ascii
)
@pytest.mark.parametrize(
    "mark",
    [*"\u0351\u0483\u05b4\u0651\u0941\u0e47\u17b7\u1039\u0f74\u20dd\ufe0f\U000e0100\U0001e8d0"],
    ids=ascii,
)
def test_no_letter_of_any_script_bears_a_stack_of_marks(letter, mark):
    cleaned = clean(f"{mark}{letter}{mark * 30}x {mark}y")

    assert cleaned.count(mark) <= MAX_MARKS
    assert cleaned[0] == letter
    assert cleaned.endswith("x y")


@pytest.mark.parametrize(
    "address",
    [
        *("evil.example", "evil.example/x", "t.co/abc", "www.evil.example", "WWW.EVIL.EXAMPLE"),
        *("https://evil.example/x?y#z", "http://evil/", "http://1.2.3.4/", "//evil.example"),
        *("mailto:e@evil.example", "e@evil.example", "e.f+g@localhost", "tel:+4930123456"),
        *("javascript:alert(1)", "slack://open", "\\\\evil\\share", "file:///etc/passwd"),
        *("пример.рф", "例え。テスト", "evil．example", "evil｡example", "a＠evil.example"),
        *("@here", "ev\u200bil.exa\u2060mple", "evil.\u200bexample", "evil\u2060.example"),
        *("https：//evil.example", "..evil.example", "a..b.example"),
    ],
)
@pytest.mark.parametrize("around", ["{}", "Log in: {} now", "({})", "x {}. Nothing to do."])
def test_no_address_in_a_clean_text_becomes_a_link(address, around):
    text = around.format(address)

    cleaned = clean(text, 200)

    assert not ADDRESS.search(cleaned)
    assert not LINKIFY.test(cleaned)
    plain = "".join(c for c in text if c not in "\u200b\u2060")
    assert cleaned.replace(WORD_JOINER, "") == plain, "it looks the same"


@given(st.text("acom.:/@\\ \u2060\u200b\u3002", max_size=40))
def test_nothing_that_is_put_together_of_parts_of_addresses_becomes_a_link(text):
    cleaned = clean(text, 400)

    assert not ADDRESS.search(cleaned)
    assert not LINKIFY.test(cleaned)


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_a_sentence_keeps_its_direction_whoever_it_begins_with(name):
    sentence = f"{set_off(name)} is here"

    directions = map(unicodedata.bidirectional, sentence)
    assert next(direction for direction in directions if direction in ("L", "R", "AL")) == "L"
    assert bare(sentence) == f"“{name}” is here"


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_a_number_behind_a_name_does_not_stand_before_it(name):
    directions = [unicodedata.bidirectional(character) for character in set_off(name)]

    letters = [direction for direction in directions if direction in ("L", "R", "AL")]
    assert letters[-1:] in (["L"], [])


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Jane Doe", "“Jane Doe”"),
        ('Robert "Bob" Smith', "“Robert 'Bob' Smith”"),
        ("James O’Brien", "“James O’Brien”"),
        ('ד"ר כהן', '\u200e“ד"ר כהן”\u200e'),
        ("Bob” is active again. “", "“Bob' is active again. '”"),
        ("Bob'' is„ ‟active″ ＂again〞", "“Bob' is' 'active' 'again'”"),
        ("Bob’’ is ‘‘active’´", "“Bob' is 'active'”"),
        ("Bob❞ ʺis❝ activeˮ", "“Bob' 'is' active'”"),
    ],
)
def test_what_is_set_off_has_no_end_before_its_end(text, shown):
    assert set_off(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Jane\r\n \tDoe", "Jane Doe"),
        ("Jane\x1b[31m\u202eDoe", "Jane [31m Doe"),
        (f"log in at {LINK}, please", "log in at [hidden] please"),
        ("the token linked_abcdefgh1234 is bad", "the token [hidden] is bad"),
        ("id_short is none", "id_short is none"),
        (f"Bad {TOKEN}!", "Bad [hidden]!"),
        (f"Bad {TOKEN[:9]}… or …{TOKEN[-8:]}!", "Bad [hidden]… or …[hidden]!"),
        (f"the end of it is {TOKEN[-4:]}", f"the end of it is {TOKEN[-4:]}"),
        ("x" * 41, "x" * 39 + "…"),
        (f"{'x' * 35} {LINK}", f"{'x' * 35} [hi…"),
        ("", ""),
    ],
)
def test_redacted_text_is_one_line_without_secrets(text, shown):
    assert redact(text, limit=40, secret=TOKEN) == shown


def test_without_a_secret_only_what_looks_like_one_is_masked():
    assert redact(f"{TOKEN} {LINK}", limit=80) == f"{TOKEN} [hidden]"


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


def test_a_time_for_machines_is_in_utc_with_milliseconds():
    assert iso_time(NOON + 1_999) == "2026-11-23T12:00:00.001Z"


def test_a_time_is_that_of_the_zone():
    assert format_time(NOON, "UTC") == "Mon 23 Nov 2026, 12:00 UTC"
    assert format_time(NOON, "Asia/Kolkata") == "Mon 23 Nov 2026, 17:30 IST"


SUMMER_TIME_ENDS = 1_792_890_000_000_000  # 2026-10-25 01:00:00 UTC


@pytest.mark.parametrize(
    ("start", "end", "shown"),
    [
        (NOON, NOON + HOUR, "Mon 23 Nov 2026, 13:00 to 14:00 CET"),
        (NOON, NOON + MINUTE - 1, "Mon 23 Nov 2026, 13:00 CET"),
        (NOON, NOON + 11 * HOUR, "Mon 23 Nov 2026, 13:00 to Tue 24 Nov 2026, 00:00 CET"),
        (
            SUMMER_TIME_ENDS - HOUR,
            SUMMER_TIME_ENDS,
            "Sun 25 Oct 2026, 02:00 CEST to Sun 25 Oct 2026, 02:00 CET",
        ),
    ],
)
def test_of_two_times_what_is_the_same_stands_once(start, end, shown):
    assert format_interval(start, end, "Europe/Berlin") == shown


@pytest.mark.parametrize("name", ["Mars/Olympus", "", "../etc/passwd", "Europe/Berlin\0"])
def test_what_is_no_time_zone_is_refused(name):
    assert check_timezone("Europe/Berlin") == "Europe/Berlin"
    with pytest.raises(ValueError, match="must be a time zone such as UTC"):
        check_timezone(name)

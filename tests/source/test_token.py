"""Where the token comes from and when it is read again."""

import os

import pytest

from monitor.core.secret import Secret
from monitor.source.token import Token, TokenError


@pytest.fixture
def file(tmp_path):
    file = tmp_path / "token"
    file.write_text("  old\r\n")
    return file


def test_a_given_token_is_used_as_it_is():
    token = Token(Secret(" abc\n"))

    assert token.text() == token.text() == "abc"
    assert not token.changed()


def test_a_file_may_begin_with_a_mark_of_its_encoding_as_other_secrets_may(file):
    file.write_text("new\r\n", encoding="utf-8-sig")

    assert Token(file).text() == "new"


@pytest.mark.parametrize("bad", ["", " \n", "two words", "a\nb", "naïve", "a\x7f", "x" * 5000])
def test_a_token_that_no_header_can_carry_is_refused_without_being_shown(file, bad):
    file.write_text(bad)

    for token in (Token(Secret(bad)), Token(file)):
        with pytest.raises(TokenError) as caught:
            token.text()

        assert not bad.strip() or bad not in str(caught.value)
        assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("place", "reason"), [("missing", "No such file or directory"), (".", "Is a directory")]
)
def test_a_file_that_cannot_be_read_is_named(tmp_path, place, reason):
    token = Token(tmp_path / place)

    with pytest.raises(TokenError, match=f"{tmp_path / place} cannot be read: {reason}"):
        token.text()
    assert not token.changed()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        *(("newer", "newer"), ("  new\r\n", "new"), ("old\n", "old")),
        *((None, "old"), ("", "old"), ("two words", "old")),
    ],
)
def test_a_good_content_counts_at_once_and_a_bad_one_keeps_the_last_token(file, content, expected):
    token = Token(file)
    assert token.text() == "old"
    assert not token.changed()

    file.unlink()
    if content is not None:
        (file.parent / "next").write_text(content)
        (file.parent / "next").replace(file)

    assert token.changed() is (expected != "old")
    assert token.text() == expected
    assert not token.changed()


def test_what_was_read_is_masked(file):
    masked = []
    token = Token(file, mask=masked.append)

    token.text()
    file.write_text("rotated")
    assert token.changed()

    assert masked == [Secret("old"), Secret("rotated")]


@pytest.mark.parametrize("reads", [Token.text, Token.changed])
def test_a_pipe_holds_nobody_up(file, reads):
    token = Token(file)
    token.text()
    file.unlink()
    os.mkfifo(file)

    assert reads(token) == ("old" if reads is Token.text else False)
    with pytest.raises(TokenError, match="it is no regular file"):
        Token(file).text()

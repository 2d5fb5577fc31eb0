"""Where the token comes from and when it is read again."""

import os

import pytest

from monitor.core.secret import Secret
from monitor.source.token import Token, TokenError


def test_a_given_token_is_used_as_it_is():
    token = Token(Secret(" abc\n"))

    assert token.text() == token.text() == "abc"
    assert not token.changed()
    assert not token.reread()


@pytest.mark.parametrize("bad", ["", " \n", "two words", "a\nb", "naïve", "a\x7f", "x" * 5000])
def test_a_token_that_no_header_can_carry_is_refused_without_being_shown(tmp_path, bad):
    file = tmp_path / "token"
    file.write_text(bad)

    for token in (Token(Secret(bad)), Token(file)):
        with pytest.raises(TokenError) as caught:
            token.text()

        assert not bad.strip() or bad not in str(caught.value)
        assert caught.value.__cause__ is None


def test_a_file_is_read_and_stripped(tmp_path):
    file = tmp_path / "token"
    file.write_text("  abc\r\n")

    assert Token(file).text() == "abc"


@pytest.mark.parametrize("place", ["missing", "."])
def test_a_file_that_cannot_be_read_is_named(tmp_path, place):
    token = Token(tmp_path / place)

    with pytest.raises(TokenError, match="cannot be read"):
        token.text()
    with pytest.raises(TokenError, match="cannot be read"):
        token.reread()
    assert not token.changed()


def test_a_new_content_is_noticed_and_used(tmp_path):
    file = tmp_path / "token"
    file.write_text("old")
    token = Token(file)
    assert token.text() == "old"
    assert not token.changed()

    file.write_text("newer")

    assert token.changed()
    assert token.text() == "newer"
    assert not token.changed()


def test_a_file_written_again_with_the_same_content_has_not_changed(tmp_path):
    file = tmp_path / "token"
    file.write_text("same")
    token = Token(file)
    token.text()

    file.write_text("same\n")

    assert not token.changed()
    assert not token.reread()


def test_reading_again_does_not_trust_the_date(tmp_path):
    file = tmp_path / "token"
    file.write_text("old")
    token = Token(file)
    token.text()
    before = file.stat()

    file.write_text("new")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))

    assert token.reread()
    assert token.text() == "new"


@pytest.mark.parametrize("content", [None, "", "two words"])
def test_a_file_that_is_spoiled_meanwhile_leaves_the_last_token_in_use(tmp_path, content):
    file = tmp_path / "token"
    file.write_text("good")
    token = Token(file)
    token.text()

    if content is None:
        file.unlink()
    else:
        file.write_text(content)

    assert not token.changed()
    assert not token.reread()
    assert token.text() == "good"


def test_a_file_swapped_by_a_link_is_noticed(tmp_path):
    (tmp_path / "one").write_text("aaa")
    (tmp_path / "two").write_text("bbb")
    link = tmp_path / "token"
    link.symlink_to(tmp_path / "one")
    token = Token(link)
    token.text()

    (tmp_path / "next").symlink_to(tmp_path / "two")
    (tmp_path / "next").replace(link)

    assert token.changed()
    assert token.text() == "bbb"

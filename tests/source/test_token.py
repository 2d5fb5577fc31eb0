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


@pytest.fixture
def token(file):
    """A token that was used."""
    token = Token(file)
    assert token.text() == "old"
    assert not token.changed()
    return token


def test_a_given_token_is_used_as_it_is():
    token = Token(Secret(" abc\n"))

    assert token.text() == token.text() == "abc"
    assert not token.changed()
    assert not token.reread()


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

    for read in (token.text, token.reread):
        with pytest.raises(TokenError, match=f"{tmp_path / place} cannot be read: {reason}"):
            read()
    assert not token.changed()


def test_a_new_content_is_noticed_and_used(token, file):
    file.write_text("newer")

    assert token.changed()
    assert token.text() == "newer"
    assert not token.changed()


def test_a_file_written_again_with_the_same_content_has_not_changed(token, file):
    file.write_text("old\n")

    assert not token.changed()
    assert not token.reread()


def test_reading_again_does_not_trust_the_date(token, file):
    before = file.stat()

    file.write_text("  new\r\n")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))

    assert not token.changed()
    assert token.reread()
    assert token.text() == "new"


@pytest.mark.parametrize("content", [None, "", "two words"])
def test_a_file_that_is_spoiled_meanwhile_leaves_the_last_token_in_use(token, file, content):
    if content is None:
        file.unlink()
    else:
        file.write_text(content)

    assert not token.changed()
    assert not token.reread()
    assert token.text() == "old"


def test_a_file_swapped_by_a_link_is_noticed(file):
    (file.parent / "new").write_text("new")
    link = file.parent / "link"
    link.symlink_to(file)
    token = Token(link)
    assert token.text() == "old"

    (file.parent / "next").symlink_to(file.parent / "new")
    (file.parent / "next").replace(link)

    assert token.changed()
    assert token.text() == "new"

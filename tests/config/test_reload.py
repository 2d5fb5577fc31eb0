"""What a file must still have at a reload."""

import pytest

from monitor.config import ConfigError, check_successor, load, with_secrets_read_again
from monitor.core.secret import Secret

WORKSPACES = "workspaces: [{name: a, token: token-one}]\n"
RECEIVERS = "receivers: [{name: log, type: log}]\n"


@pytest.fixture
def read(tmp_path):
    """Loads a text as a configuration, in an environment that has a token besides."""
    file = tmp_path / "config.yaml"

    def read(text):
        file.write_text(text)
        return load(file, {"LINKED_API_TOKEN": "token-one"})

    return read


@pytest.mark.parametrize(
    ("left", "problem"),
    [
        ("", "is empty now"),
        ("# to be written\n", "is empty now"),
        (WORKSPACES, r"receivers: are gone; write `receivers: \[\]` if that is meant"),
        (RECEIVERS, "workspaces: are gone"),
        (WORKSPACES + RECEIVERS.removesuffix("\n"), "ends within a line"),
    ],
)
def test_a_file_that_was_cut_off_is_refused(read, left, problem):
    before = read(WORKSPACES + RECEIVERS)

    with pytest.raises(ConfigError, match=problem):
        check_successor(before, read(left))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (WORKSPACES + RECEIVERS, WORKSPACES + "receivers: []\n"),
        ("log: {level: info}", "log: {}"),
        ("log: {}", WORKSPACES.removesuffix("\n")),
        (WORKSPACES.removesuffix("\n"), WORKSPACES.removesuffix("\n") + " # more"),
        (WORKSPACES.removesuffix("\n") + " # more", WORKSPACES),
    ],
)
def test_a_file_may_have_had_nothing_and_may_end_anyhow(read, before, after):
    check_successor(read(before), read(after))


# ── secrets that are read again ──────────────────────────────────────────────────────────────────


@pytest.fixture
def secret(tmp_path):
    (tmp_path / "secret").write_text("hunter2\n")
    return tmp_path / "secret"


MAILS = (
    WORKSPACES + "receivers:\n"
    "  - {name: other, type: slack, url_file: url}\n"
    "  - {name: mail, type: email, host: h, from: a@example.com, to: [b@example.com],"
    " username: u, password_file: secret}\n"
)


@pytest.mark.parametrize("now", ["hunter2", "", b"\xff", None, "a\nb", "x" * 70_000])
def test_a_secret_that_is_the_same_or_of_no_use_changes_nothing(read, secret, now, tmp_path):
    (tmp_path / "url").write_text("https://chat.example/a")
    config = read(MAILS)
    if now is None:
        secret.unlink()
    elif now != "hunter2":
        secret.write_bytes(now if isinstance(now, bytes) else now.encode())
    (tmp_path / "url").write_text("https://chat.example/b")

    assert with_secrets_read_again(config, "mail") is config
    assert with_secrets_read_again(config, "nobody") is config


def test_another_secret_is_that_of_the_one_receiver(read, secret, tmp_path):
    (tmp_path / "url").write_text("https://chat.example/a")
    config = read(MAILS)
    secret.write_text("hunter3\n")
    (tmp_path / "url").write_text("https://chat.example/b")

    changed = with_secrets_read_again(config, "mail")

    assert [receiver.model_dump() for receiver in changed.receivers] == [
        config.receivers[0].model_dump(),
        {**config.receivers[1].model_dump(), "password": Secret("hunter3")},
    ]
    assert changed.findings.contents != config.findings.contents
    assert with_secrets_read_again(changed, "mail") is changed
    (tmp_path / "url").write_text("not an address")
    assert with_secrets_read_again(changed, "other") is changed


def test_receivers_that_share_a_file_get_another_secret_together(read, secret, tmp_path):
    (tmp_path / "url").write_text("https://chat.example/a")
    config = read(f"{MAILS}{MAILS.splitlines()[-1].replace('name: mail', 'name: owners')}\n")
    secret.write_text("hunter3\n")

    changed = with_secrets_read_again(config, "mail")

    passwords = {each.name: each.password.reveal() for each in changed.receivers[1:]}
    assert passwords == {"mail": "hunter3", "owners": "hunter3"}

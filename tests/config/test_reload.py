"""What a file must still have at a reload."""

import pytest

from monitor.config import ConfigError, check_successor, load

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

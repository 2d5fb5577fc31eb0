import pytest

from monitor.config import ConfigError, load

WORKSPACE = "workspaces: [{token: abc}]\n"
"""The first line of a document that needs nothing else."""


@pytest.fixture
def load_text(tmp_path):
    """Loads a text as if it were the file config.yaml."""

    def loads(text, **environ):
        file = tmp_path / "config.yaml"
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return load(file, environ)

    return loads


@pytest.fixture
def problems_of(load_text, tmp_path):
    """Returns the lines of the error, the name of the file left out."""

    def problems(text, **environ):
        with pytest.raises(ConfigError) as caught:
            load_text(text, **environ)
        return [
            str(problem).removeprefix(f"{tmp_path}/config.yaml").removeprefix(":").strip()
            for problem in caught.value.problems
        ]

    return problems


@pytest.fixture
def warnings_of(load_text):
    """Returns the warnings of a text that is right, the name of the file left out."""

    def warnings(text, **environ):
        config = load_text(text, **environ)
        return [warning.partition("config.yaml:")[2] for warning in config.warnings]

    return warnings

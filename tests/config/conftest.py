from collections.abc import Callable
from pathlib import Path

import pytest

from monitor.config import Config, ConfigError, load

Loads = Callable[..., Config]
Problems = Callable[..., list[str]]

WORKSPACE = "workspaces: [{token: abc}]\n"
"""The first line of a document that needs nothing else."""


@pytest.fixture
def load_text(tmp_path: Path) -> Loads:
    """Loads a text as if it were the file config.yaml."""

    def loads(text: str | bytes, **environ: str) -> Config:
        file = tmp_path / "config.yaml"
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return load(file, environ)

    return loads


@pytest.fixture
def problems_of(load_text: Loads, tmp_path: Path) -> Problems:
    """Returns the lines of the error, the name of the file left out."""

    def problems(text: str | bytes, **environ: str) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            load_text(text, **environ)
        return [
            str(problem).removeprefix(f"{tmp_path}/config.yaml").removeprefix(":").strip()
            for problem in caught.value.problems
        ]

    return problems


@pytest.fixture
def warnings_of(load_text: Loads) -> Problems:
    """Returns the warnings of a text that is right, the name of the file left out."""

    def warnings(text: str, **environ: str) -> list[str]:
        config = load_text(text, **environ)
        return [warning.partition("config.yaml:")[2] for warning in config.warnings]

    return warnings

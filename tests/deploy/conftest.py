"""What the tests of the deployment files share."""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def deploy():
    """The folder of the deployment files."""
    return ROOT / "deploy"


@pytest.fixture
def run_tool():
    """Run a command and return its exit code and its output."""

    def run(*command):
        process = subprocess.run(
            [str(argument) for argument in command],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
        )
        return process.returncode, process.stdout

    return run

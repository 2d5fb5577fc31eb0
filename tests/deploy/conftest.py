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
def said_by():
    """Run a referee and return its exit code with all that it said."""

    def run(*command):
        done = subprocess.run(
            [str(word) for word in command],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
        )
        return done.returncode, done.stdout

    return run

"""What the tests of the deployment files share."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def deploy():
    """The folder of the deployment files."""
    return ROOT / "deploy"


@pytest.fixture
def run_tool():
    """Run a command, of this environment if it has it; return its exit code and its output.

    Skip the test if there is no such program.
    """
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

    def run(*command):
        if not shutil.which(command[0], path=path):
            pytest.skip(f"{command[0]} is not installed")
        process = subprocess.run(
            [str(argument) for argument in command],
            cwd=ROOT,
            env=os.environ | {"PATH": path},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
        )
        return process.returncode, process.stdout

    return run

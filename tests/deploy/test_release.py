"""A release, made of what is here; engine, checks and what comes over the network are stand-ins."""

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from monitor import __version__

ROOT = Path(__file__).parents[2]
VERSION = "98.7.6"
STAND_IN = """#!/bin/sh
# Stands for a program: notes how it was called.
echo "${{0##*/}} $*" >>"{log}"
{does}
"""
PYTHON = f"""#!/bin/sh
# Python, but for environments: what those would fetch comes over the network.
[ "$1 $2" = "-m venv" ] || exec "{sys.executable}" "$@"
mkdir -p "$3/bin"
cp "$(command -v podman)" "$3/bin/pip"
cp "$(command -v podman)" "$3/bin/linkedapi-monitor"
"""

FILES = ("pyproject.toml", "README.md", "LICENSE", "requirements.lock", ".gitignore")
START = """
import monitor
from importlib.metadata import distribution
(script,) = distribution("linkedapi-monitor").entry_points
print(monitor.__file__, script.name, sep="\\n", flush=True)
script.load()()
"""

pytestmark = pytest.mark.slow


class Repository:
    """What is here, as it is now, in a repository of its own."""

    def __init__(self, folder):
        self.folder = folder / "repository"
        self.log = folder / "log"
        self.programs = folder / "programs"
        self.programs.mkdir()
        self.stand_in("make")
        self.stand_in("podman")
        for name in tracked("monitor", "deploy", "docs", *FILES):
            file = self.folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, file)
        self.write("CHANGELOG.md", "# Changelog\n\n## Unreleased\n\n### Added\n\n- This.\n")
        git(self.folder, "init", "--quiet", "--initial-branch", "main")
        git(self.folder, "config", "user.name", "Jane Doe")
        git(self.folder, "config", "user.email", "jane@example.com")
        self.commit()
        python = self.folder / ".venv/bin/python"
        python.parent.mkdir(parents=True)
        python.write_text(PYTHON)
        python.chmod(0o700)

    def stand_in(self, name, does=""):
        file = self.programs / name
        file.write_text(STAND_IN.format(log=self.log, does=does))
        file.chmod(0o700)

    def write(self, name, text):
        (self.folder / name).write_text(text, encoding="utf-8")

    def commit(self):
        git(self.folder, "add", "--all")
        git(self.folder, "commit", "--quiet", "--message", "Say what changed")

    def release(self, version=VERSION):
        """Make a release; return the exit code and all that was said."""
        done = subprocess.run(
            ["deploy/release", version],
            cwd=self.folder,
            env=os.environ | {"PATH": f"{self.programs}:{os.environ['PATH']}", "ENGINE": "podman"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
        )
        return done.returncode, done.stdout

    def state(self):
        listings = ("rev-parse HEAD", "status --porcelain --ignored", "tag", "worktree list")
        return [git(self.folder, *listing.split()) for listing in listings]


def git(folder, *arguments):
    done = subprocess.run(
        ["git", *arguments], cwd=folder, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def tracked(*paths):
    """The files under *paths* that are, or could be, in the repository."""
    return git(ROOT, "ls-files", "--cached", "--others", "--exclude-standard", *paths).split()


@pytest.fixture
def repository(tmp_path):
    if not (ROOT / ".git").exists():
        pytest.skip("not a clone")
    return Repository(tmp_path)


def test_a_release_is_a_commit_a_tag_and_files_that_work(repository, tmp_path):
    folder = repository.folder
    before = git(folder, "rev-parse", "HEAD")

    code, output = repository.release()

    assert code == 0, output
    head = git(folder, "rev-parse", "HEAD")
    assert git(folder, "rev-parse", "HEAD^", f"v{VERSION}^{{}}").split() == [before, head]
    assert git(folder, "status", "--porcelain") == ""
    assert len(git(folder, "worktree", "list").splitlines()) == 1
    changelog = (folder / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(rf"## Unreleased\n\n## {VERSION} - \d{{4}}-\d\d-\d\d\n\n### Added", changelog)
    images = git(folder, "grep", "-hoE", r"localhost/linkedapi-monitor:[0-9.]+[0-9]", "--", "d*")
    assert {*images.split()} == {f"localhost/linkedapi-monitor:{VERSION}"}
    files = {
        "wheel": f"linkedapi_monitor-{VERSION}-py3-none-any.whl",
        "source": f"linkedapi_monitor-{VERSION}.tar.gz",
        "parts": f"linkedapi-monitor-{VERSION}.cdx.json",
    }
    dist = folder / "dist"
    assert {file.name for file in dist.iterdir()} == {*files.values()}
    parts = json.loads((dist / files["parts"]).read_text())
    assert parts["metadata"]["component"]["version"] == VERSION
    called = re.sub(r"\S+/dist/", "", repository.log.read_text()).splitlines()
    assert called[:3] == [
        "make check",
        f"pip install --quiet --disable-pip-version-check {files['wheel']}",
        "linkedapi-monitor demo --seconds 1",
    ]
    assert f" VERSION={VERSION} --build-arg REVISION={head} " in called[-2]
    assert called[-1].endswith(f" localhost/linkedapi-monitor:{VERSION} demo --seconds 1")
    works_elsewhere(dist / files["wheel"], tmp_path / "elsewhere")


def works_elsewhere(wheel, folder):
    """Hold that the wheel has all that the program needs, and nothing that it does not."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    listed = {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}
    with subprocess.Popen(
        [sys.executable, "-c", START, "demo", "--port", "0"],
        cwd=folder.parent,
        env={"PYTHONPATH": str(folder)},
        stdout=subprocess.PIPE,
        text=True,
    ) as program:
        lines = [next(program.stdout) for _ in range(3)]
        program.terminate()

    assert {name for name in listed if ".dist-info/" not in name} == {*tracked("monitor")}
    assert lines[:2] == [f"{folder}/monitor/__init__.py\n", "linkedapi-monitor\n"]
    assert lines[2].startswith("▸ Watching 6 simulated accounts")


def test_what_can_t_be_released_changes_nothing(repository):
    folder = repository.folder
    (folder / "new.py").touch()
    uncommitted = repository.release()
    (folder / "new.py").unlink()
    git(folder, "tag", "v9.9.9")
    before = repository.state()
    wrong = [repository.release(version) for version in ("1.2", "0.0.1", "9.9.9")]
    git(folder, "checkout", "--quiet", "--detach")
    detached = repository.release()
    git(folder, "checkout", "--quiet", "main")
    assert repository.state() == before
    repository.write("CHANGELOG.md", "# Changelog\n\n## Unreleased\n\n## 0.1.0\n\n- That.\n")
    repository.commit()
    unchanged = repository.release()

    answers = [uncommitted, *wrong, detached, unchanged]
    assert [code for code, _ in answers] == [1] * len(answers)
    assert [output for _, output in answers] == [
        "release: something is not committed: see git status\n",
        "release: 1.2 is no version like 1.2.3\n",
        f"release: 0.0.1 is older than {__version__}\n",
        "release: v9.9.9 is tagged already\n",
        "release: check out a branch first\n",
        "release: CHANGELOG.md has nothing under Unreleased\n",
    ]
    assert not repository.log.exists(), "nothing was checked or built"


def test_what_fails_on_the_way_leaves_nothing(repository):
    before = repository.state()

    for program, does in (("make", "exit 2"), ("podman", '[ "$1" != run ]')):
        repository.stand_in(program, does)
        code, output = repository.release()
        assert (code != 0, repository.state() == before) == (True, True), output
        repository.stand_in(program)

    assert output.endswith("release: the demo of the image failed\n")

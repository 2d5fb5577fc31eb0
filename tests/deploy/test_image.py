"""How the image is made: by which engine, with which labels, without what it never uses."""

import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from deploy.container.trim import LEXERS, trim
from monitor import __version__

ROOT = Path(__file__).parents[2]
DIGEST = f"sha256:{'a' * 64}"
ENGINE = """#!/bin/sh
# Stands for a container engine: of its commands it knows those that say whether it works.
case $1 in
  info) {info} ;;
  --version) echo "{version}" ;;
  *) printf '%s\\n' "${{0##*/}}" "$@" ;;
esac
"""
WORKS = "true"
LOOK = """
from pygments import lexers
print(len([*lexers.get_all_lexers()]))
print(lexers.guess_lexer_for_filename("x.py", "1").name)
lexers.get_lexer_by_name("abap")
"""
HAS_NO_DAEMON = "echo Client:; echo 'Cannot connect to the daemon' >&2; exit 1"


@pytest.fixture
def build(tmp_path):
    """Build with stand-ins for engines, by name; return the exit code, the words, the errors."""

    def run(engines, *arguments, **environment):
        for name, (info, version) in engines.items():
            (tmp_path / name).write_text(ENGINE.format(info=info, version=version))
            (tmp_path / name).chmod(0o700)
        process = subprocess.run(
            [ROOT / "deploy/image", *arguments],
            env={"PATH": f"{tmp_path}:{os.environ['PATH']}"} | environment,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        return process.returncode, process.stdout.splitlines(), process.stderr

    return run


DOCKER = {"docker": (WORKS, "Docker version 28.2.2")}
PODMAN = {"podman": (WORKS, "podman version 5.4.0")}


def test_the_engine_that_works_is_taken(build):
    idle = {"docker": (HAS_NO_DAEMON, "Docker version 28.2.2")}

    code, words, errors = build(idle | PODMAN)

    assert (code, words[:4], errors) == (0, ["podman", "build", "--format", "docker"], "")


def test_docker_comes_first_and_has_no_format(build):
    _, words, _ = build(DOCKER | PODMAN, "--network", "host")

    assert words[:2] == ["docker", "build"]
    assert "--format" not in words
    assert words[-3:] == ["--network", "host", "."]


def test_a_docker_that_is_podman_keeps_the_health_check(build):
    _, words, _ = build({"docker": (WORKS, "podman version 5.4.0")})

    assert words[:4] == ["docker", "build", "--format", "docker"]


def test_the_engine_that_is_asked_for_is_taken(build):
    assert build(DOCKER | PODMAN, ENGINE="podman")[1][0] == "podman"


def test_without_an_engine_each_says_why(build):
    names = ("docker", "podman", "buildah")

    code, words, errors = build(dict.fromkeys(names, (HAS_NO_DAEMON, "")))

    assert (code, words) == (1, [])
    assert errors.count("Cannot connect to the daemon") == len(names)


@pytest.mark.parametrize("base", ["images.example:5000/python:3.13-slim", "images.example:5000/p"])
def test_labels_say_what_was_built_when_and_on_what(build, base):
    _, words, _ = build(PODMAN, BASE=f"{base}@{DIGEST}", IMAGE="images.example/monitor")

    built = dict(word.split("=", 1) for word in words if "=" in word)
    assert built["VERSION"] == __version__
    assert re.fullmatch(r"|[0-9a-f]{40}(-dirty)?", built["REVISION"])
    assert built["BASE"] == f"{base.removesuffix(':3.13-slim')}@{DIGEST}"
    assert built["org.opencontainers.image.base.name"] == base
    assert built["org.opencontainers.image.base.digest"] == DIGEST
    created = built["org.opencontainers.image.created"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", created)
    assert [words[at + 1] for at, word in enumerate(words) if word == "--tag"] == [
        f"images.example/monitor:{__version__}",
        "images.example/monitor:dev",
    ]


def test_another_base_has_no_digest_unless_it_is_given(build):
    _, words, _ = build(PODMAN, BASE="images.example/python:3.13")

    assert "BASE=images.example/python:3.13" in words
    assert not [word for word in words if "digest" in word or "base.name" in word]


def test_what_is_never_used_is_left_out_and_the_rest_works(tmp_path):
    packages = tmp_path / "lib/python3.13/site-packages"
    pygments = Path(find_spec("pygments").origin).parent
    shutil.copytree(pygments, packages / "pygments", ignore=shutil.ignore_patterns("*.pyc"))
    left_out = [
        packages / "aiohttp/tests/test_client.py",
        packages / "sqlalchemy/testing/engines.py",
        packages / "pygments/lexers/business.py",
        packages / "pygments/lexers/_sql_builtins.py",
        tmp_path / "bin/pygmentize",
    ]
    kept = [
        packages / "sqlalchemy/engine/base.py",
        *(packages / f"pygments/lexers/{name}.py" for name in LEXERS),
        tmp_path / "bin/python3.13",
        tmp_path / "bin/linkedapi-monitor",
    ]
    for file in (*left_out, *kept):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()

    trim(tmp_path)

    assert [file for file in left_out if file.exists()] == []
    assert [file for file in kept if not file.exists()] == []
    program = subprocess.run(
        [sys.executable, "-B", "-c", LOOK],
        env={"PYTHONPATH": str(packages)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert "ClassNotFound: no lexer for alias 'abap'" in program.stderr
    assert program.stdout.splitlines()[1] == "Python"
    assert 1 < int(program.stdout.splitlines()[0]) < 20

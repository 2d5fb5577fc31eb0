"""The Dockerfile. The image itself is tested by deploy/container/try."""

import re

from monitor import __version__


def test_hadolint_accepts_the_dockerfile(run_tool):
    assert run_tool("hadolint", "Dockerfile") == (0, "")


def test_what_is_deployed_is_the_version_of_this_repository(deploy):
    files = (
        *(deploy / "compose").glob("*.yaml"),
        deploy / "kubernetes/base/deployment.yaml",
        deploy.parent / "docs/deployment.md",
    )
    images = {
        file.name: {*re.findall(r"localhost/linkedapi-monitor:(\S+)", file.read_text())}
        for file in files
    }
    assert images == {name: {__version__} for name in images}


def test_every_stage_is_made_of_the_base_that_the_label_names(deploy):
    dockerfile = (deploy.parent / "Dockerfile").read_text()
    bases = re.findall(r"^FROM (\S+)", dockerfile, re.MULTILINE)
    assert {*bases} == {"${BASE}"}
    assert 'base.name="$BASE"' in dockerfile
    assert re.search(r"^ARG BASE=python:\d+\.\d+-slim$", dockerfile, re.MULTILINE)


def test_there_is_one_way_in_and_all_of_it_is_pinned(deploy):
    root = deploy.parent
    ways = [
        root / "Dockerfile",
        root / "README.md",
        *(root / "docs").glob("*.md"),
        deploy / "install",
    ]
    installs = [line for file in ways for line in file.read_text().splitlines() if "pip" in line]
    commands = [line for line in installs if re.search(r"\bpip\b.* install ", line)]

    assert commands
    for command in commands:
        assert re.search("--require-hashes --only-binary :all:|--no-deps --no-index", command)


def test_what_the_dockerfile_copies_is_all_that_dockerignore_keeps(deploy):
    dockerfile = (deploy.parent / "Dockerfile").read_text()
    copied = {
        name.removeprefix("./")
        for line in re.findall(r"^COPY (?!--from)(.+) \S+$", dockerfile, re.MULTILINE)
        for name in line.split()
    }
    kept = re.findall(r"^!(.+)$", (deploy.parent / ".dockerignore").read_text(), re.MULTILINE)
    assert copied == set(kept)

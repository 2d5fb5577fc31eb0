"""The image's recipe. The image itself is tried by deploy/container/try."""

import re
import sys
from pathlib import Path

BIN = Path(sys.executable).parent


def test_hadolint_has_nothing_to_say_of_the_recipe(said_by):
    assert said_by(BIN / "hadolint", "Dockerfile") == (0, "")


def test_every_stage_is_made_of_the_base_that_the_label_names(deploy):
    recipe = (deploy.parent / "Dockerfile").read_text()
    bases = re.findall(r"^FROM (\S+)", recipe, re.MULTILINE)
    assert {*bases, *re.findall(r'base\.name="(.+?)"', recipe)} == {bases[0]}


def test_what_the_recipe_copies_is_not_ignored(deploy):
    recipe = (deploy.parent / "Dockerfile").read_text()
    copied = {
        name.strip("./")
        for line in re.findall(r"^COPY (?!--from)(.+) \S+$", recipe, re.MULTILINE)
        for name in line.split()
    }
    kept = re.findall(r"^!(.+)$", (deploy.parent / ".dockerignore").read_text(), re.MULTILINE)
    assert copied == set(kept)

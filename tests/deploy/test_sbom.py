"""The list of parts: what CycloneDX demands, and all that the lock has for this platform."""

import importlib.metadata
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from deploy import sbom
from monitor import __version__

ROOT = Path(__file__).parents[2]
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
PURL = re.compile(r"pkg:(pypi|generic)/[a-z0-9._-]+@[\w.]+")


@pytest.fixture(scope="module")
def parts():
    return sbom.bill_of_materials(LOCK, seconds=1_796_000_000)


def test_it_has_what_the_format_demands(parts):
    assert parts["bomFormat"] == "CycloneDX"
    assert parts["specVersion"] == "1.6"
    assert parts["version"] == 1
    assert parts["metadata"]["timestamp"] == "2026-11-30T00:53:20Z"
    assert parts["metadata"]["component"]["version"] == __version__
    for part in (parts["metadata"]["component"], *parts["components"]):
        assert part["type"] in {"application", "library"}
        assert part["name"]
        assert part["version"]
        assert PURL.fullmatch(part["purl"])
        for licence in part["licenses"]:
            assert isinstance(licence.get("expression") or licence["license"], str | dict)


def test_it_lists_what_is_locked_and_installed_with_its_version_and_hashes(parts):
    locked = dict(re.findall(r"^([a-z0-9-]+)(?:\[\w+\])?==(\S+)", LOCK, re.MULTILINE))
    distributions = importlib.metadata.distributions()
    installed = {item.metadata["Name"].lower().replace("_", "-") for item in distributions}
    listed = {part["name"]: part["version"] for part in parts["components"]}

    assert listed == {name: locked[name] for name in locked if name in installed}
    assert {"aiohttp", "psycopg", "typer"} <= {*listed}
    hashes = [(h["alg"], h["content"]) for part in parts["components"] for h in part["hashes"]]
    assert all(part["hashes"] for part in parts["components"])
    assert all(alg == "SHA-256" and f"sha256:{digest}" in LOCK for alg, digest in hashes)


def test_it_says_what_needs_what(parts):
    needs = {entry["ref"]: entry["dependsOn"] for entry in parts["dependencies"]}
    references = [part["bom-ref"] for part in parts["components"]]
    ours = parts["metadata"]["component"]["bom-ref"]
    by_name = {part["name"]: part["bom-ref"] for part in parts["components"]}

    assert [*needs] == [ours, *references]
    assert len(set(needs)) == len(needs)
    assert set().union(*needs.values()) == set(references), "all are there for something"
    assert by_name["httpx"] in needs[ours]
    assert by_name["httpcore"] in needs[by_name["httpx"]]
    assert by_name["httpcore"] not in needs[ours]


def test_it_names_no_place_where_parts_come_from(parts):
    del parts["$schema"]
    assert "//" not in json.dumps(parts)


def test_a_list_that_would_be_wrong_is_not_made():
    lock = re.sub(r"^httpx==\S+", "httpx==0.0.1", LOCK, flags=re.MULTILINE)

    with pytest.raises(SystemExit, match=r"httpx \S+ is installed, the lock says 0\.0\.1"):
        sbom.bill_of_materials(lock, seconds=0)


def test_the_program_prints_it():
    program = subprocess.run(
        [sys.executable, ROOT / "deploy/sbom.py"],
        env={"SOURCE_DATE_EPOCH": "86400", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        timeout=30,
        check=True,
    )

    assert json.loads(program.stdout)["metadata"]["timestamp"] == "1970-01-02T00:00:00Z"

"""Write the parts of an installation as CycloneDX 1.6: what the lock names and this Python has.

/opt/linkedapi-monitor/bin/python deploy/sbom.py >linkedapi-monitor.cdx.json

The hashes of a part are those that the lock allows: of its files for all platforms.
"""

import json
import os
import re
import sys
import time
from collections.abc import Iterator, Mapping
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any, Final

from monitor import __version__

LOCK: Final = Path(__file__).parents[1] / "requirements.lock"
PIN: Final = re.compile(r"^([\w.-]+)(?:\[[\w,-]+\])?==(\S+)")
HASH: Final = re.compile(r"--hash=sha256:([0-9a-f]{64})")
WANTED_BY: Final = re.compile(r"^    #(?: via)? +([\w.-]+)")
NAME: Final = "linkedapi-monitor"
MAX_NAME: Final = 40
OURS: Final = f"pkg:generic/{NAME}@{__version__}"


def bill_of_materials(lock: str, *, seconds: int) -> Mapping[str, Any]:
    """Return the list; *lock* is the text of a lock, *seconds* the time since the epoch.

    Exits if what is installed has another version than the lock says: the list would be wrong.
    """
    components = {}
    wanted_by = {}
    for name, version, lines in _pins(lock):
        try:
            installed = distribution(name)
        except PackageNotFoundError:
            continue  # for another platform
        if installed.version != version:
            sys.exit(f"{name} {installed.version} is installed, the lock says {version}")
        components[name] = _component(name, version, lines, installed)
        wanted_by[name] = {match[1] for line in lines if (match := WANTED_BY.match(line))}
    references = {NAME: OURS} | {name: part["bom-ref"] for name, part in components.items()}
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds)),
            "component": {
                "type": "application",
                "bom-ref": OURS,
                "name": NAME,
                "version": __version__,
                "licenses": [{"license": {"id": "MIT"}}],
                "purl": OURS,
            },
        },
        "components": list(components.values()),
        "dependencies": [
            {
                "ref": reference,
                "dependsOn": [references[part] for part in components if name in wanted_by[part]],
            }
            for name, reference in references.items()
        ],
    }


def _pins(lock: str) -> Iterator[tuple[str, str, list[str]]]:
    """Yield each part's name and version, and the lines of the lock about it."""
    for block in re.split(r"^(?=[\w.-]+(?:\[|==))", lock, flags=re.MULTILINE):
        if match := PIN.match(block):
            yield match[1], match[2], block.splitlines()


def _component(
    name: str, version: str, lines: list[str], installed: Distribution
) -> dict[str, Any]:
    purl = f"pkg:pypi/{name}@{version}"
    hashes = [match[1] for line in lines if (match := HASH.search(line))]
    return {
        "type": "library",
        "bom-ref": purl,
        "name": name,
        "version": version,
        "hashes": [{"alg": "SHA-256", "content": digest} for digest in hashes],
        **_licenses(installed),
        "purl": purl,
    }


def _licenses(installed: Distribution) -> dict[str, Any]:
    metadata = installed.metadata
    if expression := metadata.get("License-Expression"):
        return {"licenses": [{"expression": expression}]}
    if len(short := metadata.get("License") or "") in range(1, MAX_NAME + 1):  # else a whole text
        return {"licenses": [{"license": {"name": short}}]}
    names = [
        classifier.rpartition(" :: ")[2]
        for classifier in metadata.get_all("Classifier", ())
        if classifier.startswith("License :: ")
    ]
    return {"licenses": [{"license": {"name": name}} for name in names]} if names else {}


if __name__ == "__main__":
    now = int(os.environ.get("SOURCE_DATE_EPOCH") or time.time())  # noqa: TID251 - when it was made
    parts = bill_of_materials(LOCK.read_text(encoding="utf-8"), seconds=now)
    sys.stdout.write(f"{json.dumps(parts, indent=1)}\n")

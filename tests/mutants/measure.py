"""Which lines each test runs and how long it takes, measured once for the same content."""

import asyncio
import hashlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from . import say
from .scratch import Scratch

CACHE = Path(".mutants_cache/measured.json")


def measure(scratches: Sequence[Scratch], files: Sequence[str]) -> dict[str, Any]:
    """Return the seconds and lines of each test in *files* that passes.

    A file of tests is measured again if it changed or a test in it failed, and all are if anything
    else in *files* changed. Raise RuntimeError if the tests can't be run.
    """
    tests = [path for path in files if Path(path).match("test_*.py")]
    program = sys.version + _digest(scratches[0], *(path for path in files if path not in tests))
    contents = {path: _digest(scratches[0], path) for path in tests}
    try:
        cached = json.loads(CACHE.read_text(encoding="utf-8"))
    except FileNotFoundError:
        cached = {}
    if cached.get("program") != program:
        cached = {"contents": {}, "measured": {}}
    stale = [path for path in tests if cached["contents"].get(path) != contents[path]]
    measured = {
        test: what
        for test, what in cached["measured"].items()
        if _file(test) in contents and _file(test) not in stale
    }
    if stale:
        say(f"measuring {len(stale)} files of tests …")
        for status, output, result in asyncio.run(_measure(scratches, stale)):
            if status:
                raise RuntimeError(f"the tests can't be measured:\n{output}")
            measured |= json.loads(result.read_text(encoding="utf-8"))
        for test in [test for test, what in measured.items() if what is None]:
            say(f"left out, because it fails: {test}")
            del measured[test]
            contents.pop(_file(test), None)
        CACHE.parent.mkdir(exist_ok=True)
        cached = {"program": program, "contents": contents, "measured": measured}
        CACHE.write_text(json.dumps(cached), encoding="utf-8")
    return measured


async def _measure(
    scratches: Sequence[Scratch], paths: Sequence[str]
) -> list[tuple[int, str, Path]]:
    parts = [paths[number :: len(scratches)] for number in range(len(scratches))]
    return await asyncio.gather(
        *(scratch.measure(part) for scratch, part in zip(scratches, parts, strict=True) if part)
    )


def _digest(scratch: Scratch, *paths: str) -> str:
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.encode() + b"\0" + (scratch.checkout / path).read_bytes())
    return digest.hexdigest()


def _file(test: str) -> str:
    return test.partition("::")[0]

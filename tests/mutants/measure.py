"""Which lines each test runs and how long it takes, measured once for the same content."""

import asyncio
import hashlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .scratch import Scratch

CACHE = Path(".mutants_cache/measured.json")


def measure(scratches: Sequence[Scratch], files: Sequence[str]) -> dict[str, Any]:
    """Return the seconds and lines of each test in *files*.

    A file of tests is measured again if it changed, and all are if anything else in *files* did.
    Raise RuntimeError if a test fails.
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
    fresh = {path for path in tests if cached["contents"].get(path) == contents[path]}
    measured = {
        test: what for test, what in cached["measured"].items() if test.partition("::")[0] in fresh
    }
    if stale := [path for path in tests if path not in fresh]:
        sys.stdout.write(f"measuring {len(stale)} files of tests …\n")
        sys.stdout.flush()
        for status, output, result in asyncio.run(_measure(scratches, stale)):
            if status:
                raise RuntimeError(f"the tests must pass first:\n{output}")
            measured |= json.loads(result.read_text(encoding="utf-8"))
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

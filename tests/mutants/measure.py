"""Which lines each test runs and how long it takes, measured once for the same content."""

import asyncio
import hashlib
import json
import sys
from pathlib import Path

from . import say

CACHE = Path(".mutants_cache/measured.json")


def measure(scratches, files):
    """Return the seconds and lines of each test in *files* that passes.

    A file of tests is measured again if it changed or a test in it failed, and all are if anything
    else in *files* changed.
    """

    def digest(*paths):
        contents = [(path, (scratches[0].checkout / path).read_bytes()) for path in paths]
        return hashlib.sha256(repr(contents).encode()).hexdigest()

    tests = [path for path in files if Path(path).match("test_*.py")]
    program = sys.version + digest(*(path for path in files if path not in tests))
    keys = {path: program + digest(path) for path in tests}
    cached = json.loads(CACHE.read_text(encoding="utf-8")) if CACHE.exists() else {}
    measured = {path: cached.get(key, {}) for path, key in keys.items()}
    stale = [path for path, key in keys.items() if key not in cached]
    if stale:
        say(f"measuring {len(stale)} files of tests …")
        for test, what in asyncio.run(_measure(scratches, stale)):
            measured[test.partition("::")[0]][test] = what
    failed = {test for what in measured.values() for test in what if what[test]["failed"]}
    for test in failed:
        say(f"left out, because it fails: {test}")
    CACHE.parent.mkdir(exist_ok=True)
    passed = {keys[path]: what for path, what in measured.items() if failed.isdisjoint(what)}
    CACHE.write_text(json.dumps(passed), encoding="utf-8")
    everything = (each for what in measured.values() for each in what.items())
    return {test: what for test, what in everything if test not in failed}


async def _measure(scratches, paths):
    parts = [paths[number :: len(scratches)] for number in range(len(scratches))]
    together = [each.measure(part) for each, part in zip(scratches, parts, strict=True) if part]
    return [each for result in await asyncio.gather(*together) for each in result.items()]

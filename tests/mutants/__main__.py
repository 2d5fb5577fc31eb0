"""Change the program in one random place, run the tests, put it back; say what none noticed.

What decides, writes or sends is changed, in scratch copies of the checkout only. A mutant that
survived passed every test that runs its line, first on SQLite, then on PostgreSQL; one that is
untested is run by none. Tests that are marked slow, or under a path to ignore, take no part.
"""

import argparse
import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections import Counter, defaultdict
from fnmatch import fnmatch
from pathlib import Path

from . import say
from .measure import measure
from .mutate import mutate
from .scratch import Scratch
from .selection import Selection

EXCLUDED = ("__main__.py", "cli", "config", "log.py", "metrics", "simulator", "web")
"""What neither decides nor writes nor sends."""

IGNORED = ("tests/e2e", "tests/deploy", "tests/fuzz")

EQUIVALENTS = Path(__file__).with_name("equivalents.toml")


def main():
    """Do what the command line says."""
    parser = argparse.ArgumentParser(prog="make mutants ARGS=…", description=__doc__)
    parser.add_argument("places", nargs="*", help="change these paths only, or PATH:LINE")
    parser.add_argument("--seed", type=int, default=random.randrange(10_000))
    parser.add_argument("--count", type=int, default=100, help="how many mutants: %(default)s")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="how many at a time")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the outcomes there too")
    parser.add_argument("--ignore", nargs="*", default=IGNORED, metavar="PATH", help=f"{IGNORED}")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    outcomes = []
    try:
        with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
            Path(folder).chmod(0o711)  # PostgreSQL runs as another user if this one is root
            _run(options, Path(folder), outcomes)
    except RuntimeError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        _summarize(outcomes)
        if options.json:
            options.json.write_text(json.dumps(outcomes, indent=1), encoding="utf-8")


def _run(options, folder, outcomes):
    git = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.check_output(git, text=True).split("\0")
    files = sorted(path for path in set(listed) if Path(path).is_file())
    scratches = [Scratch(files, folder / str(number)) for number in range(options.jobs)]
    relevant = [
        path
        for path in files
        if path.startswith(("monitor/", "tests/", "pyproject.toml"))
        and not path.startswith((*options.ignore, "tests/mutants/"))
    ]
    measured = measure(scratches, relevant)
    sources = {
        path: (scratches[0].checkout / path).read_text(encoding="utf-8")
        for path in relevant
        if path.endswith(".py")
    }
    mutants = _choose(sources, options)
    say(f"--seed {options.seed}: {len(mutants)} mutants, {len(measured)} tests")
    asyncio.run(_try_all(mutants, scratches, sources, Selection(measured, sources), outcomes))


async def _try_all(mutants, scratches, sources, selection, outcomes):
    queue = iter(mutants)

    async def work(scratch):
        for mutant in queue:
            outcome = await _try(mutant, scratch, sources[mutant.path], selection)
            outcomes.append(outcome)
            say(
                f"{len(outcomes):4} {_shown(outcome):8} {outcome['seconds']:5.1f} s"
                f"  {mutant.path}:{mutant.line}  {mutant.diff}"
            )

    async with asyncio.TaskGroup() as group:
        for scratch in scratches:
            group.create_task(work(scratch))


async def _try(mutant, scratch, source, selection):
    """Return what became of *mutant*: which of how many tests noticed it, and in what time."""
    started, noticed_by = time.monotonic(), None
    tests = selection.tests(mutant)
    scratch.write(mutant.path, mutant.apply(source))
    for batch, seconds in selection.batches(tests):
        noticed_by = await scratch.failing(batch, limit=5 * seconds + 30)
        if noticed_by is not None:
            break
    scratch.write(mutant.path, source)
    return {
        "file": mutant.path,
        "line": mutant.line,
        "kind": mutant.kind,
        "before": mutant.before,
        "after": mutant.after,
        "verdict": "noticed" if noticed_by else "survived" if tests else "untested",
        "noticed_by": noticed_by,
        "tests": len(tests),
        "seconds": round(time.monotonic() - started, 1),
    }


def _choose(sources, options):
    """Return the mutants to try, in random order."""
    mutants = [
        mutant
        for path, source in sources.items()
        if path.startswith("monitor/") and path.split("/")[1] not in EXCLUDED
        for mutant in mutate(path, source)
    ]
    for entry in tomllib.loads(EQUIVALENTS.read_text(encoding="utf-8")).get("mutant", []):
        others = [mutant for mutant in mutants if not _matches(mutant, entry)]
        if others == mutants:
            say(f"{EQUIVALENTS.name}: there is no such mutant any more: {entry}")
        mutants = others
    if options.places:
        mutants = [
            mutant for mutant in mutants if any(_is_at(mutant, place) for place in options.places)
        ]
    return random.Random(options.seed).sample(mutants, min(options.count, len(mutants)))


def _matches(mutant, entry):
    is_same = (mutant.before, mutant.after) == (entry["line"], entry["becomes"])
    return is_same and fnmatch(mutant.path, entry["file"])


def _is_at(mutant, place):
    path, _, line = place.partition(":")
    return Path(mutant.path).is_relative_to(path) and line in ("", str(mutant.line))


def _shown(outcome):
    """Return the verdict, loud unless the tests noticed."""
    verdict = outcome["verdict"]
    return verdict if verdict == "noticed" else verdict.upper()


def _summarize(outcomes):
    """Print what was not noticed, and how many were, room by room."""
    if not outcomes:
        return
    rooms = defaultdict(Counter)
    for outcome in sorted(outcomes, key=lambda outcome: (outcome["file"], outcome["line"])):
        rooms[outcome["file"].split("/")[1]][outcome["verdict"]] += 1
        if outcome["noticed_by"] is None:
            place = f"{outcome['file']}:{outcome['line']}"
            say(f"\n{_shown(outcome)} {place} ({outcome['tests']} tests)")
            say(f"  - {outcome['before']}\n  + {outcome['after']}")
    say(f"\n{'room':16}{'mutants':>8}{'noticed':>9}{'survived':>9}{'untested':>9}")
    for room, count in {**rooms, "all": sum(rooms.values(), Counter())}.items():
        total, share = count.total(), f"{count['noticed'] / count.total():.0%}"
        say(f"{room:16}{total:8}{share:>9}{count['survived']:9}{count['untested']:9}")


if __name__ == "__main__":
    main()

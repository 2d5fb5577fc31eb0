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
import sys
import tempfile
import time
import tomllib
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from . import say
from .measure import measure
from .mutate import Mutant, mutate
from .scratch import Scratch, files_of
from .selection import Selection

EXCLUDED = ("__main__.py", "cli", "config", "log.py", "metrics", "simulator", "web")
"""What neither decides nor writes nor sends."""

IGNORED = ("tests/e2e", "tests/deploy", "tests/fuzz")

EQUIVALENTS = Path(__file__).with_name("equivalents.toml")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a mutant: which of how many *tests* noticed it, if any, and in what time."""

    mutant: Mutant
    noticed_by: str | None
    tests: int
    seconds: float

    @property
    def verdict(self) -> str:
        """One word for it."""
        if self.noticed_by is not None:
            return "noticed"
        return "SURVIVED" if self.tests else "UNTESTED"


def main() -> None:
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
    outcomes: list[Outcome] = []
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
            rows = [_row(outcome) for outcome in outcomes]
            options.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")


def _run(options: argparse.Namespace, folder: Path, outcomes: list[Outcome]) -> None:
    root = Path.cwd()
    files = files_of(root)
    scratches = [Scratch(root, files, folder / str(number)) for number in range(options.jobs)]
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


async def _try_all(
    mutants: Sequence[Mutant],
    scratches: Sequence[Scratch],
    sources: Mapping[str, str],
    selection: Selection,
    outcomes: list[Outcome],
) -> None:
    queue = iter(mutants)

    async def work(scratch: Scratch) -> None:
        for mutant in queue:
            outcome = await _try(mutant, scratch, sources[mutant.path], selection)
            outcomes.append(outcome)
            say(
                f"{len(outcomes):4} {outcome.verdict:8} {outcome.seconds:5.1f} s"
                f"  {mutant.path}:{mutant.line}  {mutant.diff}"
            )

    async with asyncio.TaskGroup() as group:
        for scratch in scratches:
            group.create_task(work(scratch))


async def _try(mutant: Mutant, scratch: Scratch, source: str, selection: Selection) -> Outcome:
    started, noticed_by = time.monotonic(), None
    tests = selection.tests(mutant)
    scratch.write(mutant.path, mutant.apply(source))
    for batch, seconds in selection.batches(tests):
        noticed_by = await scratch.failing(batch, limit=5 * seconds + 30)
        if noticed_by is not None:
            break
    scratch.write(mutant.path, source)
    return Outcome(mutant, noticed_by, len(tests), time.monotonic() - started)


def _choose(sources: Mapping[str, str], options: argparse.Namespace) -> Sequence[Mutant]:
    """Return the mutants to try, in random order."""
    mutants = [
        mutant
        for path, source in sources.items()
        if path.startswith("monitor/") and path.split("/")[1] not in EXCLUDED
        for mutant in mutate(path, source)
    ]
    for entry in tomllib.loads(EQUIVALENTS.read_text(encoding="utf-8")).get("mutant", []):
        equivalent = [mutant for mutant in mutants if _matches(mutant, entry)]
        mutants = [mutant for mutant in mutants if mutant not in equivalent]
        if not equivalent:
            say(f"{EQUIVALENTS.name}: there is no such mutant any more: {entry}")
    if options.places:
        mutants = [
            mutant for mutant in mutants if any(_is_at(mutant, place) for place in options.places)
        ]
    return random.Random(options.seed).sample(mutants, min(options.count, len(mutants)))


def _matches(mutant: Mutant, entry: Mapping[str, str]) -> bool:
    is_same = (mutant.before, mutant.after) == (entry["line"], entry["becomes"])
    return is_same and fnmatch(mutant.path, entry["file"])


def _is_at(mutant: Mutant, place: str) -> bool:
    path, _, line = place.partition(":")
    return Path(mutant.path).is_relative_to(path) and line in ("", str(mutant.line))


def _summarize(outcomes: Sequence[Outcome]) -> None:
    """Print what was not noticed, and how many were, room by room."""
    if not outcomes:
        return
    for outcome in sorted(outcomes, key=lambda outcome: (outcome.mutant.path, outcome.mutant.line)):
        if outcome.noticed_by is None:
            mutant = outcome.mutant
            say(f"\n{outcome.verdict} {mutant.path}:{mutant.line} ({outcome.tests} tests)")
            say(f"  - {mutant.before}\n  + {mutant.after}")
    rooms: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for outcome in outcomes:
        for room in (outcome.mutant.path.split("/")[1], "all"):
            rooms[room][outcome.verdict] += 1
    say(f"\n{'room':16}{'mutants':>8}{'noticed':>9}{'survived':>9}{'untested':>9}")
    for room in (*sorted(rooms.keys() - {"all"}), "all"):
        count, total = rooms[room], rooms[room].total()
        share = f"{count['noticed'] / total:.0%}"
        say(f"{room:16}{total:8}{share:>9}{count['SURVIVED']:9}{count['UNTESTED']:9}")


def _row(outcome: Outcome) -> dict[str, object]:
    """Return *outcome* for a program to read."""
    mutant = outcome.mutant
    return {
        "file": mutant.path,
        "line": mutant.line,
        "kind": mutant.kind,
        "before": mutant.before,
        "after": mutant.after,
        "verdict": outcome.verdict.lower(),
        "noticed_by": outcome.noticed_by,
        "tests": outcome.tests,
        "seconds": round(outcome.seconds, 1),
    }


if __name__ == "__main__":
    main()

"""Change the program in one random place, run the tests, put it back: which change is not noticed?

What decides, writes or sends is changed, in scratch copies of the checkout only. A change that
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

from .changes import Change, changes
from .measure import measure
from .reach import Reach
from .scratch import Scratch, files_of

EXCLUDED = ("__main__.py", "cli", "config", "log.py", "metrics", "simulator", "web")
"""What neither decides nor writes nor sends."""

IGNORED = ("tests/e2e", "tests/deploy", "tests/fuzz")

EQUIVALENT = Path(__file__).with_name("equivalent.toml")


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a change went: which of how many *tests* noticed it, if any, after how many seconds."""

    change: Change
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
    parser.add_argument("--count", type=int, default=100, help="how many changes: %(default)s")
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
    program = {path: source for path, source in sources.items() if path.startswith("monitor/")}
    chosen = _choose(program, options)
    _say(f"--seed {options.seed}: {len(chosen)} changes, {len(measured)} tests")
    asyncio.run(_try_all(scratches, chosen, sources, Reach(measured, sources), outcomes))


async def _try_all(
    scratches: Sequence[Scratch],
    chosen: Sequence[Change],
    sources: Mapping[str, str],
    reach: Reach,
    outcomes: list[Outcome],
) -> None:
    queue = iter(chosen)

    async def work(scratch: Scratch) -> None:
        for change in queue:
            outcome = await _try(scratch, change, sources[change.path], reach)
            outcomes.append(outcome)
            _say(
                f"{len(outcomes):4} {outcome.verdict:8} {outcome.seconds:5.1f} s"
                f"  {change.path}:{change.line}  {change.shown}"
            )

    async with asyncio.TaskGroup() as group:
        for scratch in scratches:
            group.create_task(work(scratch))


async def _try(scratch: Scratch, change: Change, source: str, reach: Reach) -> Outcome:
    started, noticed_by = time.monotonic(), None
    tests = reach.tests(change)
    scratch.write(change.path, change.apply(source))
    for batch, seconds in reach.batches(tests):
        noticed_by = await scratch.failing(batch, limit=5 * seconds + 30)
        if noticed_by is not None:
            break
    scratch.write(change.path, source)
    return Outcome(change, noticed_by, len(tests), time.monotonic() - started)


def _choose(program: Mapping[str, str], options: argparse.Namespace) -> Sequence[Change]:
    """Return the changes to make, in random order."""
    possible = [
        change
        for path, source in program.items()
        if path.split("/")[1] not in EXCLUDED
        for change in changes(path, source)
    ]
    for entry in tomllib.loads(EQUIVALENT.read_text(encoding="utf-8")).get("change", []):
        same = [change for change in possible if _matches(change, entry)]
        possible = [change for change in possible if change not in same]
        if not same:
            _say(f"{EQUIVALENT.name}: there is no such change any more: {entry}")
    if options.places:
        possible = [one for one in possible if any(_is_at(one, at) for at in options.places)]
    return random.Random(options.seed).sample(possible, min(options.count, len(possible)))


def _matches(change: Change, entry: Mapping[str, str]) -> bool:
    is_it = (change.before, change.after) == (entry["line"], entry["becomes"])
    return is_it and fnmatch(change.path, entry["file"])


def _is_at(change: Change, place: str) -> bool:
    path, _, line = place.partition(":")
    return Path(change.path).is_relative_to(path) and line in ("", str(change.line))


def _summarize(outcomes: Sequence[Outcome]) -> None:
    """Print how many were noticed, room by room, and what was not."""
    rooms: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for outcome in outcomes:
        for room in (outcome.change.path.split("/")[1], "all"):
            rooms[room][outcome.verdict] += 1
    for outcome in sorted(outcomes, key=lambda outcome: (outcome.change.path, outcome.change.line)):
        if outcome.noticed_by is None:
            change = outcome.change
            _say(f"\n{outcome.verdict} {change.path}:{change.line} ({outcome.tests} tests)")
            _say(f"  - {change.before}\n  + {change.after}")
    _say(f"\n{'room':16}{'changes':>8}{'noticed':>9}{'survived':>9}{'untested':>9}")
    for room in (*sorted(rooms.keys() - {"all"}), *(rooms.keys() & {"all"})):
        count, total = rooms[room], rooms[room].total()
        share = f"{count['noticed'] / total:.0%}"
        _say(f"{room:16}{total:8}{share:>9}{count['SURVIVED']:9}{count['UNTESTED']:9}")


def _row(outcome: Outcome) -> dict[str, object]:
    """Return *outcome* for a program to read."""
    change = outcome.change
    return {
        "file": change.path,
        "line": change.line,
        "kind": change.kind,
        "before": change.before,
        "after": change.after,
        "verdict": outcome.verdict.lower(),
        "noticed_by": outcome.noticed_by,
        "tests": outcome.tests,
        "seconds": round(outcome.seconds, 1),
    }


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()

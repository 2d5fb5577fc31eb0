"""A copy of the checkout, to change and to run tests in."""

import asyncio
import json
import os
import re
import shutil
import signal
import sys
from contextlib import suppress
from importlib.util import cache_from_source
from pathlib import Path

GRACE = 10
"""Seconds that tests have to stop what they started before they are killed."""

_FAILED = re.compile(r"^(?:FAILED|ERROR) (.+?)(?: - .*)?$", re.MULTILINE)


class Scratch:
    """A copy of *files* in *folder*, which holds all that the tests leave behind too."""

    def __init__(self, files, folder):
        self.checkout = folder / "checkout"
        self._folder = folder
        (folder / "tmp").mkdir(parents=True)
        for path in files:
            (self.checkout / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, self.checkout / path)

    def write(self, path, source):
        """Change a file; its compiled form goes, as it knows the file's time to the second only."""
        (self.checkout / path).write_text(source, encoding="utf-8")
        Path(cache_from_source(str(self.checkout / path))).unlink(missing_ok=True)

    async def measure(self, paths):
        """Return what each test in *paths* takes, and whether it failed."""
        result = self._folder / "measured"
        status, output = await self._run("measure", str(result), *paths)
        if status:
            raise RuntimeError(f"the tests can't be measured:\n{output}")
        return json.loads(result.read_text(encoding="utf-8"))

    async def failing(self, tests, *, limit):
        """Run *tests* until one fails or *limit* seconds are over; return what failed, if any."""
        names = self._folder / "tests"
        names.write_text("\n".join(tests), encoding="utf-8")
        try:
            async with asyncio.timeout(limit):
                status, output = await self._run("run", str(names))
        except TimeoutError:
            return "timeout"
        failed = _FAILED.search(output)
        return (failed[1] if failed else f"exit code {status}") if status else None

    async def _run(self, *arguments):
        """Run `runner.py`; return its exit code and output. Nothing that it started goes on."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.mutants.runner", *arguments),
            cwd=self.checkout,
            env=os.environ | {"TMPDIR": str(self._folder / "tmp"), "COVERAGE_CORE": "ctrace"},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            output, _ = await process.communicate()
        finally:
            await _end(process)
        return process.returncode, output.decode(errors="replace")


async def _end(process):
    """End *process*, at first as Ctrl-C would, and all that it left running."""
    with suppress(ProcessLookupError, TimeoutError):
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGINT)
            await asyncio.wait_for(process.communicate(), GRACE)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()

"""Leave out of an environment what the monitor never uses: tests, tools of others, languages.

python deploy/container/trim.py /opt/linkedapi-monitor

For the image alone; nothing that a message of an error could need goes.
"""

import runpy
import shutil
import sys
from pathlib import Path
from typing import Final

TESTS: Final = ("test", "tests", "sqlalchemy/testing")
LEXERS: Final = ("python", "special")
"""The languages that may have to be coloured (Python's errors), of several hundred."""


def trim(environment: Path) -> None:
    """Remove it."""
    (packages,) = environment.glob("lib/python3.*/site-packages")
    for name in TESTS:
        for folder in [path for path in packages.rglob(name) if path.is_dir()]:
            shutil.rmtree(folder)
    _trim_lexers(packages / "pygments/lexers")
    for command in (environment / "bin").iterdir():
        if not command.name.startswith(("python", "linkedapi-monitor")):
            command.unlink()


def _trim_lexers(folder: Path) -> None:
    mapping = folder / "_mapping.py"
    for file in folder.glob("*.py"):
        if file.stem not in ("__init__", "_mapping", *LEXERS):
            file.unlink()
    lexers = runpy.run_path(str(mapping))["LEXERS"]
    kept = {name: of for name, of in lexers.items() if of[0].rpartition(".")[2] in LEXERS}
    mapping.write_text(f"LEXERS = {kept!r}\n", encoding="utf-8")


if __name__ == "__main__":
    trim(Path(sys.argv[1]))

import os
import subprocess
from pathlib import Path

INSTALL = Path(__file__).parents[2] / "deploy/install"
PYTHON = """#!/bin/sh
# Stands for Python and for all that it installs: of environments it makes what the script asks for.
for last; do :; done
if [ "$1 $2" = "-m venv" ]; then
  mkdir -p "$last/bin"
  cp "$0" "$last/bin/python"
  cp "$0" "$last/bin/linkedapi-monitor"
fi
"""


def test_the_folder_is_meant_from_where_somebody_is(tmp_path):
    python = tmp_path / "python"
    python.write_text(PYTHON)
    python.chmod(0o700)

    subprocess.run(
        [INSTALL, "some/folder"],
        cwd=tmp_path,
        env={**os.environ, "PYTHON": str(python), "TMPDIR": str(tmp_path)},
        timeout=20,
        check=True,
    )

    assert (tmp_path / "some/folder/bin/linkedapi-monitor").exists()

"""The file that a new configuration starts from."""

import os
from pathlib import Path
from typing import Final

from monitor.core.errors import SetupError

STARTER: Final = Path(__file__).with_suffix(".yaml")


def write_starter(path: Path) -> None:
    """Write a small commented configuration to *path*; raise SetupError if something is there.

    Only its owner can read it: secrets may be written into it.
    """
    try:
        opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise SetupError(f"{path}: is there already; name another file") from None
    except OSError as error:
        raise SetupError(f"{path}: cannot be written: {error.strerror}") from None
    try:
        with os.fdopen(opened, "wb") as file:
            file.write(STARTER.read_bytes())
    except OSError as error:
        path.unlink(missing_ok=True)  # else the next try would find half of it
        raise SetupError(f"{path}: cannot be written: {error.strerror}") from None

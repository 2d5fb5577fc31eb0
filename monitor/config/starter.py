"""The file that a new configuration starts from, with what the environment has already."""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from monitor.core.errors import SetupError

from .document import ConfigError, Document
from .environment import TOKEN, TOKEN_FILE, add_environment

STARTER: Final = Path(__file__).with_suffix(".yaml")
PASSWORD: Final = "SMTP_PASSWORD"  # noqa: S105 - the name of a variable


@dataclass(frozen=True, slots=True)
class Starter:
    """The *text* of a file to start with; *unset* are variables that it names and nobody has set.

    It holds no secret: those that the environment has stay there.
    """

    text: str
    unset: tuple[str, ...]


def make_starter(environ: Mapping[str, str]) -> Starter:
    """Return a small commented configuration for what *environ* has.

    Raise ConfigError if something in there can't be used.
    """
    document = Document()
    add_environment(document, environ)
    if document.problems:
        raise ConfigError(document.problems)
    text, unset = STARTER.read_text(encoding="utf-8"), []
    workspaces, receivers = (document.root.get(key) or [{}] for key in ("workspaces", "receivers"))
    if workspaces[0].keys() == {"token_file"}:
        text = re.sub(r"    token: .*", f"    token_file: ${{{TOKEN_FILE}}}", text)
    elif not workspaces[0]:
        unset.append(TOKEN)
    for receiver in filter(None, receivers):
        block = _slack() if receiver["type"] == "slack" else _email(receiver)
        text = _with_block(text, f"ops-{receiver['type']}", block)
        text = re.sub(
            r"  - name: log (.*)\n    type: log\n", r"  # - name: log \1\n  #   type: log\n", text
        )
        if receiver.get("password") and not environ.get(PASSWORD):
            unset.append(PASSWORD)
    return Starter(text, tuple(unset))


def _slack() -> Mapping[str, str]:
    return {"type": "slack", "url": "${SLACK_WEBHOOK_URL}"}


def _email(receiver: Mapping[str, Any]) -> Mapping[str, str]:
    """Return the keys of a receiver of mail as YAML: its password is not written down."""
    block = {key: _yaml(value) for key, value in receiver.items() if key not in ("name", "type")}
    if "password" in block:
        block["password"] = f"${{{PASSWORD}}}"
    return {"type": "email", **block}


def _yaml(value: Any) -> str:
    """Write *value* as YAML that takes no part of it for anything else."""
    return json.dumps(value, ensure_ascii=False).replace("$", "$$")


def _with_block(text: str, name: str, block: Mapping[str, str]) -> str:
    """Put the receiver *name* where *text* has it as a comment."""
    lines = [f"  - name: {name}", *(f"    {key}: {value}" for key, value in block.items())]
    commented = rf"  # - name: {name}\n(?:  #   .*\n)+"
    return re.sub(commented, lambda _: "\n".join((*lines, "")), text)


def write_starter(path: Path, starter: Starter) -> None:
    """Write *starter* to *path*; raise SetupError if something is there.

    Only its owner can read it: secrets may be written into it.
    """
    try:
        opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise SetupError(f"{path}: is there already; name another file") from None
    except OSError as error:
        raise SetupError(f"{path}: cannot be written: {error.strerror}") from None
    try:
        with os.fdopen(opened, "w", encoding="utf-8") as file:
            file.write(starter.text)
    except OSError as error:
        path.unlink(missing_ok=True)  # else the next try would find half of it
        raise SetupError(f"{path}: cannot be written: {error.strerror}") from None

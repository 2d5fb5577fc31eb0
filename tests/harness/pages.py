"""Pages of the documentation: the blocks in them, and what is typed in these."""

import re
import textwrap
from pathlib import Path

ROOT = Path(__file__).parents[2]
FENCE = re.compile(r"^ *```(\w+)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)


def read(page):
    """The text of a page, which is named as seen from the root: `docs/alerts.md`."""
    return (ROOT / page).read_text(encoding="utf-8")


def fences(page):
    """The kind and the text of each block of a page, without what indents all of it."""
    return [(kind, textwrap.dedent(text)) for kind, text in FENCE.findall(read(page))]


def blocks(page, *kinds):
    """The blocks of these kinds."""
    return [text for kind, text in fences(page) if kind in kinds]


def steps(block):
    """Each command of a `console` block, with the lines that it shows."""
    for step in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, *shown = step.splitlines()
        yield command, shown

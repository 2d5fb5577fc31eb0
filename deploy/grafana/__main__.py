"""Write the dashboards where Grafana finds them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from . import fleet, monitor

FOLDER: Final = Path(__file__).parent / "dashboards"


def json_files() -> Mapping[str, str]:
    """Return the JSON of each dashboard by the name of its file."""
    dashboards = {"fleet.json": fleet.dashboard(), "monitor.json": monitor.dashboard()}
    return {
        name: json.dumps(
            dashboard.build(), cls=JSONEncoder, indent=2, sort_keys=True, ensure_ascii=False
        )
        + "\n"
        for name, dashboard in dashboards.items()
    }


def main() -> None:
    """Write all of them."""
    FOLDER.mkdir(exist_ok=True)
    for name, text in json_files().items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

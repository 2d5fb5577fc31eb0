"""Draw the dashboards from the data of a real Prometheus, without Grafana.

Each panel is drawn where its dashboard puts it, from its own queries; a browser without a window
photographs the page. The picture says that it is not a photograph of Grafana.
"""

import json
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import Any, Final

import httpx

from . import drawing, readings
from .__main__ import FOLDER
from .queries import Span

WIDTH: Final = 1440
UNIT: Final = 34
GAP: Final = 8
HEAD: Final = 52
FOOT: Final = 34
BAR_SCRAPES: Final = 4
"""How many scrapes a bar spans, as `panels.BAR` says for the scrape interval that is shipped."""

STYLE: Final = """
* { box-sizing: border-box; margin: 0 }
body { background: #111217; color: #ccccdc; font: 12px "DejaVu Sans", sans-serif;
  position: relative }
h1 { font-size: 17px; font-weight: 500; position: absolute; left: 16px; top: 16px }
.span { position: absolute; right: 16px; top: 19px; color: #8e8f99 }
.foot { position: absolute; left: 16px; bottom: 10px; color: #8e8f99; font-size: 11px }
.panel { position: absolute; background: #181b1f; border: 1px solid #25282e; border-radius: 3px;
  overflow: hidden; padding: 7px 10px }
.panel h2 { font-size: 13px; font-weight: 500; margin-bottom: 6px; white-space: nowrap }
.large { position: absolute; inset: 28px 0 0; display: flex; align-items: center;
  justify-content: center; font-weight: 600 }
.empty { color: #8e8f99; text-align: center; padding-top: 30px }
table { border-collapse: collapse; width: 100%; table-layout: fixed }
th { color: #6e9fff; text-align: left; font-weight: 500 }
th, td { padding: 5px 8px 5px 0; border-bottom: 1px solid #25282e; white-space: nowrap;
  overflow: hidden; text-overflow: ellipsis }
text { fill: #8e8f99; font-size: 11px }
.legend { line-height: 17px; font-size: 11px }
.legend span { margin-right: 12px; white-space: nowrap }
.legend i { display: inline-block; width: 12px; height: 3px; margin-right: 5px;
  vertical-align: middle; border-radius: 1px }
.gauge { display: flex; align-items: center; height: 30px }
.gauge span { width: 90px } .gauge b { width: 46px; text-align: right }
.gauge > div { flex: 1; background: #22252b; height: 18px } .gauge > div > div { height: 18px }
"""

BROWSER: Final = (
    *("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"),
    *("--no-first-run", "--disable-background-networking", "--disable-component-update"),
    *("--disable-sync", "--hide-scrollbars", "--force-device-scale-factor=1"),
)


def draw(prometheus: str, span: Span, folder: Path) -> None:
    """Draw every dashboard into *folder*, from what *prometheus* knows of *span*."""
    for name, (html, height) in pages(prometheus, span).items():
        photograph(html, height, folder / f"dashboard-{name}.png")


def pages(prometheus: str, span: Span) -> Mapping[str, tuple[str, int]]:
    """Return every dashboard by its name as a page, and how high each is."""
    with httpx.Client(base_url=prometheus) as client:

        def fetch(expr: str, over: Span | None) -> list[dict[str, Any]]:
            params: dict[str, Any] = {"query": expr, "time": span.end}
            if over is not None:
                params = {"query": expr, "start": over.start, "end": over.end, "step": over.step}
            kind = "query" if over is None else "query_range"
            answer = client.get(f"/api/v1/{kind}", params=params).raise_for_status()
            found: list[dict[str, Any]] = answer.json()["data"]["result"]
            return found

        files = sorted(FOLDER.glob("*.json"))
        dashboards = {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in files}
        return {name: page(one, span, fetch) for name, one in dashboards.items()}


def page(dashboard: Mapping[str, Any], span: Span, fetch: readings.Fetch) -> tuple[str, int]:
    """Return the dashboard as a page, and how high it is."""
    panels = dashboard["panels"]
    rows = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in panels)
    height = HEAD + rows * UNIT + FOOT
    times = f"{readings.moment(span.start)[:16]} to {readings.moment(span.end)[11:16]} UTC"
    caption = (
        "Drawn from this dashboard's own queries, on the data of a real Prometheus that watched a"
        " simulated fleet. Not a photograph of Grafana."
    )
    body = "".join(_panel(panel, span, fetch) for panel in panels)
    html = (
        f'<!doctype html><meta charset="utf-8"><style>{STYLE}</style>'
        f'<body style="width:{WIDTH}px;height:{height}px"><h1>{escape(dashboard["title"])}</h1>'
        f'<div class="span">{times}</div>{body}<div class="foot">{caption}</div>'
    )
    return html, height


def photograph(html: str, height: int, to: Path) -> None:
    """Let the browser make a picture of *html*."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "page.html"
        file.write_text(html, encoding="utf-8")
        subprocess.run(  # noqa: S603 - our own page, by a browser that the caller trusts
            [
                *BROWSER,
                f"--user-data-dir={folder}/profile",
                f"--window-size={WIDTH},{height}",
                f"--screenshot={to}",
                str(file),
            ],
            check=True,
            capture_output=True,
            timeout=120,
        )


def _panel(panel: Mapping[str, Any], span: Span, fetch: readings.Fetch) -> str:
    place = panel["gridPos"]
    pitch = (WIDTH - 2 * GAP) / 24
    width, height = round(place["w"] * pitch) - GAP, place["h"] * UNIT - GAP
    left, top = GAP + place["x"] * pitch + GAP / 2, HEAD + place["y"] * UNIT
    return (
        f'<div class="panel" style="left:{left:.0f}px;top:{top}px;width:{width}px;'
        f'height:{height}px"><h2>{escape(panel["title"])}</h2>'
        f"{_inside(panel, span, fetch, width=width - 22, height=height - 34)}</div>"
    )


def _inside(
    panel: Mapping[str, Any], span: Span, fetch: readings.Fetch, *, width: int, height: int
) -> str:
    kind = panel["type"]
    if kind == "stat":
        return drawing.large(readings.large(panel, span, fetch), height=height)
    if kind == "table":
        return drawing.table(*readings.table(panel, span, fetch))
    if panel.get("interval"):
        span = replace(span, step=BAR_SCRAPES * span.scrape)
    found = [one for one in readings.series(panel, span, fetch) if one.points]
    if kind == "bargauge":
        return drawing.gauges(found, panel)
    if kind == "state-timeline":
        return drawing.timeline(found, panel, span, width=width, height=height - 20)
    lines = drawing.legend_lines([one.name for one in found], width)
    return drawing.graph(found, panel, span, width=width, height=height - 17 * lines - 2)

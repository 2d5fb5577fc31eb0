"""The dashboards, as far as they can be judged without their server."""

import re
from pathlib import Path

import promql_parser
import pytest
import yaml
from harness.dashboards import TimeRange, load_dashboards, load_panels, load_queries, queries_of

from deploy.grafana.__main__ import FOLDER, json_files
from deploy.grafana.panels import RUNBOOKS

ROOT = Path(__file__).parents[2]
DASHBOARDS = load_dashboards()
PANELS = load_panels()
TABLES = [panel for panel in PANELS if panel["type"] == "table"]
HOUR = TimeRange(end=0, seconds=3600, step=60, scrape_interval=30)
COLUMNS = 24


def metrics():
    """The metrics that are documented: the contract."""
    return set(
        re.findall(r"^\| `(linkedapi_\w+)`", (ROOT / "docs/metrics.md").read_text(), re.MULTILINE)
    )


def test_the_dashboards_are_those_of_the_code():
    shipped = {file.name: file.read_text(encoding="utf-8") for file in FOLDER.glob("*.json")}

    assert shipped == json_files(), "regenerate them: python -m deploy.grafana"


@pytest.mark.parametrize("query", load_queries(), ids=lambda query: f"{query.panel} {query.ref_id}")
def test_each_query_is_valid_and_asks_for_metrics_that_exist(query):
    expr = HOUR.interpolate(query.expr)
    promql_parser.parse(expr)
    names = set(re.findall(r"\blinkedapi_\w+", expr))

    bases = {re.sub(r"_(bucket|count|sum)$", "", name) for name in names}

    assert "$" not in expr
    assert bases <= metrics()


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_each_panel_says_what_it_shows_in_which_unit(panel):
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["datasource"]["uid"] == "${datasource}"
    assert all(query.is_instant or query.legend for query in queries_of(panel))


@pytest.mark.parametrize("panel", TABLES, ids=lambda panel: panel["title"])
def test_each_table_has_the_columns_that_its_queries_give_and_sorts_by_one_of_them(panel):
    queries = queries_of(panel)
    labels = set(re.findall(r"\w+", str(re.findall(r"\bby \(([\w, ]+)\)", queries[0].expr))))
    values = {f"Value #{query.ref_id}" for query in queries}
    titles = next(
        transformation["options"]["renameByName"]
        for transformation in panel["transformations"]
        if transformation["id"] == "organize"
    )

    assert titles.keys() <= labels | values
    assert {field["displayName"] for field in panel["options"]["sortBy"]} <= set(titles.values())


@pytest.mark.parametrize("uid", DASHBOARDS)
def test_no_panel_lies_over_another_or_beside_the_grid(uid):
    cells = [
        (place["x"] + x, place["y"] + y)
        for place in (panel["gridPos"] for panel in DASHBOARDS[uid]["panels"])
        for x in range(place["w"])
        for y in range(place["h"])
    ]

    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) == COLUMNS - 1
    assert {x for x, y in cells if y == max(y for _, y in cells)} == set(range(COLUMNS))


def test_links_to_runbooks_lead_somewhere():
    text = str(DASHBOARDS)
    runbooks = set(re.findall(rf"{re.escape(RUNBOOKS)}(\w+)\.md", text))

    assert runbooks
    assert runbooks <= {file.stem for file in (ROOT / "docs/runbooks").iterdir()}


def test_a_status_has_the_same_colour_everywhere():
    colours = {}
    for panel in PANELS:
        for override in panel["fieldConfig"]["overrides"]:
            values = {field["id"]: field["value"] for field in override["properties"]}
            if "color" in values:
                name = override["matcher"]["options"]
                colours.setdefault(name, set()).add(values["color"]["fixedColor"])

    assert colours["frozen"] == {"blue"}
    assert [name for name, used in colours.items() if len(used) > 1] == []


def test_the_provisioned_source_has_the_scrape_interval_of_prometheus(deploy):
    source = yaml.safe_load(
        (deploy / "grafana/provisioning/datasources/prometheus.yml").read_text()
    )["datasources"][0]
    config = yaml.safe_load((deploy / "prometheus/prometheus.yml").read_text())

    assert source["jsonData"]["timeInterval"] == config["global"]["scrape_interval"]

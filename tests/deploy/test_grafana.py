"""The dashboards, as far as they can be judged without their server."""

import re
from pathlib import Path

import promql_parser
import pytest
import yaml
from observatory import DEPLOY, dashboards, questions

from deploy.grafana.__main__ import FOLDER, texts
from deploy.grafana.panels import RUNBOOKS
from deploy.grafana.queries import Span, asked

ROOT = Path(__file__).parents[2]
DASHBOARDS = {one["uid"]: one for one in dashboards()}
PANELS = [(uid, panel) for uid, one in DASHBOARDS.items() for panel in one["panels"]]
TABLES = [(uid, panel) for uid, panel in PANELS if panel["type"] == "table"]
SPAN = Span(end=0, seconds=3600, step=60, scrape=30)
COLUMNS = 24


def titles(pair):
    return pair[1]["title"] if isinstance(pair, tuple) else None


def metrics():
    """The metrics that are documented: the contract."""
    return set(
        re.findall(r"^\| `(linkedapi_\w+)`", (ROOT / "docs/metrics.md").read_text(), re.MULTILINE)
    )


def test_the_dashboards_are_those_of_the_code():
    shipped = {file.name: file.read_text(encoding="utf-8") for file in FOLDER.glob("*.json")}

    assert shipped == texts(), "regenerate them: python -m deploy.grafana"


@pytest.mark.parametrize("query", questions(), ids=lambda query: f"{query.panel} {query.letter}")
def test_each_query_is_valid_and_asks_for_metrics_that_exist(query):
    expr = SPAN.filled(query.expr)
    promql_parser.parse(expr)
    asked_for = set(re.findall(r"\blinkedapi_\w+", expr))

    bases = {re.sub(r"_(bucket|count|sum)$", "", name) for name in asked_for}

    assert "$" not in expr
    assert bases <= metrics()


@pytest.mark.parametrize("place", PANELS, ids=titles)
def test_each_panel_says_what_it_shows_in_which_unit(place):
    _, panel = place

    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["datasource"]["uid"] == "${datasource}"
    assert all(query.is_instant or query.legend for query in asked(panel))


@pytest.mark.parametrize("place", TABLES, ids=titles)
def test_each_table_has_the_columns_that_its_queries_give_and_sorts_by_one_of_them(place):
    _, panel = place
    queries = list(asked(panel))
    labels = set(re.findall(r"\w+", str(re.findall(r"\bby \(([\w, ]+)\)", queries[0].expr))))
    values = {f"Value #{query.letter}" for query in queries}
    columns = next(
        step["options"]["renameByName"]
        for step in panel["transformations"]
        if step["id"] == "organize"
    )

    assert columns.keys() <= labels | values
    assert {sort["displayName"] for sort in panel["options"]["sortBy"]} <= set(columns.values())


@pytest.mark.parametrize("uid", DASHBOARDS)
def test_no_panel_lies_over_another_or_beside_the_grid(uid):
    taken = [
        (place["x"] + x, place["y"] + y)
        for place in (panel["gridPos"] for panel in DASHBOARDS[uid]["panels"])
        for x in range(place["w"])
        for y in range(place["h"])
    ]

    assert len(taken) == len(set(taken))
    assert max(x for x, _ in taken) == COLUMNS - 1
    assert {x for x, y in taken if y == max(y for _, y in taken)} == set(range(COLUMNS))


def test_links_to_runbooks_lead_somewhere():
    text = str(DASHBOARDS)
    runbooks = set(re.findall(rf"{re.escape(RUNBOOKS)}(\w+)\.md", text))

    assert runbooks
    assert runbooks <= {file.stem for file in (ROOT / "docs/runbooks").iterdir()}


def test_a_status_has_the_same_colour_everywhere():
    colours = {}
    for _, panel in PANELS:
        for override in panel["fieldConfig"]["overrides"]:
            shown = {one["id"]: one["value"] for one in override["properties"]}
            if "color" in shown:
                name = override["matcher"]["options"]
                colours.setdefault(name, set()).add(shown["color"]["fixedColor"])

    assert colours["frozen"] == {"blue"}
    assert [name for name, used in colours.items() if len(used) > 1] == []


def test_the_provisioned_source_has_the_scrape_interval_of_prometheus():
    source = yaml.safe_load(
        (DEPLOY / "grafana/provisioning/datasources/prometheus.yml").read_text()
    )["datasources"][0]
    scraped = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text())["global"]

    assert source["jsonData"]["timeInterval"] == scraped["scrape_interval"]

"""The dashboards, as far as they can be judged without their server."""

import copy
import json
import re
from pathlib import Path

import promql_parser
import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard
from harness.dashboards import (
    TimeRange,
    load_annotations,
    load_dashboards,
    load_panels,
    load_queries,
    queries_of,
)

from deploy.grafana.__main__ import FOLDER, json_files
from deploy.grafana.panels import RUNBOOKS
from monitor.core.model import Status

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


@pytest.mark.parametrize("uid", DASHBOARDS)
def test_each_dashboard_is_what_the_schema_of_grafana_knows(uid):
    shipped = copy.deepcopy(DASHBOARDS[uid])
    for annotation in shipped["annotations"]["list"]:  # what belongs to their data source is open
        del annotation["titleFormat"], annotation["useValueForTime"], annotation["target"]

    assert json.loads(json.dumps(Dashboard.from_json(shipped), cls=JSONEncoder)) == shipped


@pytest.mark.parametrize("query", load_queries(), ids=lambda query: f"{query.panel} {query.ref_id}")
def test_each_query_is_valid_and_asks_for_metrics_that_exist(query):
    expr = HOUR.interpolate(query.expr)
    promql_parser.parse(expr)
    names = set(re.findall(r"\blinkedapi_\w+", expr))

    bases = {re.sub(r"_(bucket|count|sum)$", "", name) for name in names}

    assert "$" not in expr
    assert bases <= metrics()


@pytest.mark.parametrize("query", load_queries(), ids=lambda query: f"{query.panel} {query.ref_id}")
def test_each_query_is_of_the_chosen_job_alone(query):
    if query.panel == "Alerts that fire":
        return  # most rules leave no job in their alerts
    selectors = re.findall(r"\b(?:linkedapi|process)_\w+(\{[^}]*\}|)", query.expr)

    assert selectors
    assert [selector for selector in selectors if 'job=~"$job"' not in selector] == []


def test_variables_follow_each_other_and_an_account_goes_by_its_name_where_there_is_one():
    fleet = {item["name"]: item for item in DASHBOARDS["linkedapi-fleet"]["templating"]["list"]}
    pattern = fleet["account"]["regex"].strip("/").replace("(?<", "(?P<")
    labels = (
        '{account_id="a1", country="US", instance="m:9464", job="j", name="Jane", url="https://x"}'
    )
    named = re.search(pattern, f"linkedapi_account_info{labels} 1 1700000000000")
    nameless = re.search(pattern, 'linkedapi_account_info{account_id="a1", country="US"} 1 17')

    assert [*fleet] == ["datasource", "job", "workspace", "account"]
    assert 'job=~"$job"' in fleet["workspace"]["query"]
    assert 'workspace=~"$workspace"' in fleet["account"]["query"]
    assert named.groupdict() == {"value": "a1", "text": "Jane"}
    assert nameless.groupdict() == {"value": "a1", "text": None}


def test_annotations_say_what_happened_where():
    titles = {item["name"]: (item["titleFormat"], item["enable"]) for item in load_annotations()}

    assert len(titles) == 4
    assert all(item["target"]["expr"] == item["expr"] for item in load_annotations())
    assert all(("{{instance}}" in t or "{{workspace}}" in t) and on for t, on in titles.values())


def test_quantiles_are_named_as_such():
    for query in load_queries():
        quantile = re.search(r"histogram_quantile\(0\.(\d+)", query.expr)
        if quantile and not query.is_instant:
            assert query.legend.startswith(f"p{quantile[1]:0<2}")


def test_who_is_down_leads_to_what_to_do_and_to_the_profile():
    (panel,) = [panel for panel in PANELS if panel["title"] == "Who is down, since when"]
    links = {
        override["matcher"]["options"]: value["value"][0]["url"]
        for override in panel["fieldConfig"]["overrides"]
        for value in override["properties"]
        if value["id"] == "links"
    }

    assert links == {
        "What to do": f"{RUNBOOKS}${{__value.raw}}.md",
        "Profile": "${__value.raw:raw}",
    }
    expr = panel["targets"][0]["expr"]
    named = re.findall(r'"runbook", "(\w+)", "status", "(\w+)"', expr)
    assert {status for _, status in named} == {*Status} - {Status.ACTIVE}
    assert {f"{name}.md" for name, _ in named} <= {
        f.name for f in (ROOT / "docs/runbooks").iterdir()
    }


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


WORKSPACES = {"a": ("acme", "globex"), "b": ("globex", "initech")}
"""Globex has just gone from one monitor to the other; both were scraped of it."""

TOTALS = {
    "Active": 9,
    "Open incidents": 3,
    "Workspaces not readable": 1,
    "Workspaces read": 2 / 3,
    "Oldest data": 60,
    "Waiting": 5,
    "Dead": 2,
    "Restarts": 0,
    "Configuration": 0,
}
"""What the panels of one number show of these two monitors."""


def two_monitors():
    """Their series: names with their values, one for each scrape."""
    pending, loaded = {"a": 2, "b": 3}, {"a": 1, "b": 0}
    dead = 'receiver="crm", type="webhook", event="opened", outcome="dead"'
    for instance, workspaces in WORKSPACES.items():
        monitor = f'job="linkedapi-monitor", instance="{instance}"'
        yield f'linkedapi_notifications_pending{{{monitor}, receiver="crm"}}', pending[instance]
        yield f"linkedapi_notifications_total{{{monitor}, {dead}}}", "0x4 1"
        yield f"linkedapi_monitor_config_last_reload_successful{{{monitor}}}", loaded[instance]
        yield f"process_start_time_seconds{{{monitor}}}", 7
        for name in workspaces:
            workspace = f'{monitor}, workspace="{name}"'
            yield f'linkedapi_accounts{{{workspace}, status="active"}}', 3
            yield f'linkedapi_incidents_open{{{workspace}, cause="frozen"}}', 1
            yield f"linkedapi_workspace_up{{{workspace}}}", int(name != "initech")
            yield f"linkedapi_last_successful_poll_timestamp_seconds{{{workspace}}}", 180


def test_of_two_monitors_nothing_is_counted_twice(run_tool, tmp_path):
    queries = {query.panel: query.expr for query in load_queries() if query.panel in TOTALS}
    minutes = TimeRange(end=240, seconds=240, step=30, scrape_interval=30)
    test = {
        "interval": "30s",
        "input_series": [
            {"series": name, "values": f"{value}x9"} for name, value in two_monitors()
        ],
        "promql_expr_test": [
            {
                "expr": f"round({minutes.interpolate(queries[panel])}, 0.000001)",
                "eval_time": "4m",
                "exp_samples": [{"labels": "{}", "value": round(value, 6)}],
            }
            for panel, value in TOTALS.items()
        ],
    }
    file = tmp_path / "test.yml"
    file.write_text(json.dumps({"tests": [test]}))

    code, output = run_tool("promtool", "test", "rules", file)

    assert code == 0, output


def test_the_provisioned_source_has_the_scrape_interval_of_prometheus(deploy):
    source = yaml.safe_load(
        (deploy / "grafana/provisioning/datasources/prometheus.yml").read_text()
    )["datasources"][0]
    config = yaml.safe_load((deploy / "prometheus/prometheus.yml").read_text())

    assert source["jsonData"]["timeInterval"] == config["global"]["scrape_interval"]

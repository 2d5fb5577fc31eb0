"""What is shipped for Prometheus and Alertmanager; test_pages.py has their own tools check it."""

import re
import shutil
from pathlib import Path

import pytest
import yaml

from deploy.grafana.panels import RUNBOOKS

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy/prometheus"
ALERTMANAGER = ROOT / "deploy/alertmanager/alertmanager.yml"


def rules():
    """Every rule that is shipped."""
    files = [yaml.safe_load(file.read_text()) for file in sorted((FOLDER / "rules").glob("*.yml"))]
    return [rule for file in files for group in file["groups"] for rule in group["rules"]]


ALERTS = {rule["alert"]: rule for rule in rules() if "alert" in rule}


def expected():
    """What the tests of the rules expect: the name of an alert and whether it fires."""
    files = [yaml.safe_load(file.read_text()) for file in sorted((FOLDER / "tests").glob("*.yml"))]
    checks = [
        check for file in files for test in file["tests"] for check in test["alert_rule_test"]
    ]
    return [(check["alertname"], bool(check["exp_alerts"])) for check in checks]


def test_promtool_finds_that_the_configuration_is_right(run_tool, tmp_path):
    shutil.copytree(FOLDER, tmp_path, dirs_exist_ok=True)
    file, token = tmp_path / "prometheus.yml", tmp_path / "metrics-token"
    token.touch()  # promtool wants it to be there
    file.write_text(file.read_text().replace("/run/secrets/metrics-token", str(token)))

    code, output = run_tool("promtool", "check", "config", file)

    assert code == 0, output
    assert "3 rule files found" in output


@pytest.mark.parametrize("alert", ALERTS)
def test_each_alert_is_tested_to_fire_and_to_stay_quiet(alert):
    assert {fires for name, fires in expected() if name == alert} == {True, False}


@pytest.mark.parametrize("alert", ALERTS)
def test_each_alert_says_how_bad_it_is_what_it_means_and_what_to_do(alert):
    rule = ALERTS[alert]

    assert rule["labels"]["severity"] in {"warning", "critical"}
    assert {"summary", "description", "runbook_url"} == set(rule["annotations"])
    assert rule["annotations"]["runbook_url"] == f"{RUNBOOKS}{alert}.md"


def test_each_alert_has_a_runbook_and_each_runbook_an_alert():
    runbooks = sorted((ROOT / "docs/runbooks").glob("*.md"))

    assert [file.stem for file in runbooks] == sorted(ALERTS)
    for file in runbooks:
        lines = file.read_text(encoding="utf-8").splitlines()
        assert lines[0] == f"# {file.stem}"
        assert [line for line in lines if line.startswith("## ")] == [
            "## Look at",
            "## Do",
            "## Over when",
        ]


def test_runbooks_name_log_lines_and_commands_that_exist():
    text = "\n".join(file.read_text() for file in (ROOT / "docs/runbooks").glob("*.md"))
    source = "\n".join(file.read_text() for file in (ROOT / "monitor").rglob("*.py"))
    commands = set(re.findall(r"`linkedapi-monitor ([a-z]+)", text))

    lines = re.findall(r"log lines? `([^`]+)`(?: and `([^`]+)`)?", text)

    assert lines
    for line in (line for pair in lines for line in pair if line):
        assert f'"{line}"' in source
    assert commands == {"accounts", "check", "config", "deliveries", "healthcheck", "incidents"} | {
        "receivers",
        "workspaces",
    }


def test_alertmanager_holds_back_alerts_that_exist():
    inhibitions = yaml.safe_load(ALERTMANAGER.read_text())["inhibit_rules"]

    for rule in inhibitions:
        for matcher in (*rule["source_matchers"], *rule["target_matchers"]):
            pattern = matcher.split("=")[1].lstrip("~ ").strip('"')
            assert [name for name in ALERTS if re.fullmatch(pattern, name)], matcher

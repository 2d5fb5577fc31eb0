"""The compose file: valid, locked down, and in step with the rest of the repository."""

import re

import pytest
import yaml

from monitor.cli.simulate import TOKEN
from monitor.config import load


@pytest.fixture
def file(deploy):
    return deploy / "compose" / "compose.yaml"


@pytest.fixture
def services(file):
    return yaml.safe_load(file.read_text())["services"]


def test_the_compose_file_follows_its_specification(file, run_tool):
    command = ("check-jsonschema", "--builtin-schema", "vendor.compose-spec", file)
    assert run_tool(*command) == (0, "ok -- validation done\n")


def test_every_service_is_locked_down(services):
    for name, service in services.items():
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name


def test_every_service_but_the_monitor_whose_image_has_one_says_how_its_health_is_checked(services):
    assert {name for name, service in services.items() if "healthcheck" not in service} == {
        "monitor"
    }


def test_ports_are_published_on_the_loopback_address_only(services):
    ports = [port for service in services.values() for port in service.get("ports", ())]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports), ports


def test_every_image_has_an_exact_version(services):
    for service in services.values():
        assert re.fullmatch(r"\S+/\S+:v?\d+\.\d+\.\d+", service["image"])


def test_only_the_simulator_has_to_be_asked_for(services):
    assert {name for name, service in services.items() if service.get("profiles")} == {"simulator"}


def test_the_configuration_of_the_profile_simulator_is_valid_and_watches_the_simulator(deploy):
    config = load(deploy / "compose" / "simulator" / "config.yaml", {})
    assert config.linked_api.base_url == "http://127.0.0.1:8600"
    assert config.workspaces[0].token.reveal() == TOKEN
    assert not config.warnings


def test_prometheus_shows_the_token_that_the_monitor_asks_for(deploy, file, services):
    config = load(deploy / "compose" / "simulator" / "config.yaml", {})
    secrets = yaml.safe_load(file.read_text())["secrets"]
    scraped = yaml.safe_load((deploy / "prometheus" / "prometheus.yml").read_text())
    (job,) = (j for j in scraped["scrape_configs"] if j["job_name"] == "linkedapi-monitor")
    (name,) = services["prometheus"]["secrets"]
    folder = services["monitor"]["volumes"][1].partition(":/etc")[0]

    assert secrets[name]["file"] == f"{folder}/metrics-token"
    assert job["authorization"]["credentials_file"] == f"/run/secrets/{name}"
    token = (deploy / "compose" / "simulator" / "metrics-token").read_text().strip()
    assert config.web.metrics_token.reveal() == token


def test_what_is_mounted_from_the_repository_is_there(file, services):
    for service in services.values():
        for volume in service.get("volumes", ()):
            source = re.sub(r"\$\{\w+:-(.*?)\}", r"\1", volume).partition(":")[0]
            assert not source.startswith(".") or (file.parent / source).is_dir(), source

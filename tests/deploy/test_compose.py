"""The compose files: valid, locked down, and in step with the rest of the repository."""

import re
from fnmatch import fnmatch

import pytest
import yaml

from monitor.app.loops import MAX_STOPPING
from monitor.cli.simulate import TOKEN
from monitor.config import load
from monitor.core.duration import Duration


@pytest.fixture
def folder(deploy):
    return deploy / "compose"


@pytest.fixture
def file(folder):
    return folder / "compose.yaml"


@pytest.fixture
def overlay(folder):
    """What goes on top of the file to look at it without a token."""
    return yaml.safe_load((folder / "simulator.yaml").read_text())


@pytest.fixture
def services(file):
    return yaml.safe_load(file.read_text())["services"]


@pytest.fixture
def replicas(folder):
    """What goes on top of the file for two monitors: its services."""
    return yaml.safe_load((folder / "replicas.yaml").read_text())["services"]


@pytest.fixture
def all_services(services, overlay, replicas):
    """Those of all files; what overlays add to a service of `compose.yaml` is left out."""
    return overlay["services"] | replicas | services


@pytest.mark.parametrize("name", ["compose.yaml", "simulator.yaml", "replicas.yaml"])
def test_each_compose_file_follows_its_specification(folder, name, run_tool):
    command = ("check-jsonschema", "--builtin-schema", "vendor.compose-spec", folder / name)
    assert run_tool(*command) == (0, "ok -- validation done\n")


def test_every_service_is_locked_down(all_services):
    for name, service in all_services.items():
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name


def test_every_service_but_the_monitor_whose_image_has_one_says_how_its_health_is_checked(
    all_services,
):
    unchecked = {name for name, service in all_services.items() if "healthcheck" not in service}
    assert unchecked == {"monitor", "monitor-2"}


def test_ports_are_published_on_the_loopback_address_only(services, overlay, replicas):
    everywhere = (*services.values(), *overlay["services"].values(), *replicas.values())
    ports = [port for service in everywhere for port in service.get("ports", ())]
    assert len({port.rpartition(":")[0] for port in ports}) == len(ports) == 6
    assert all(port.startswith("127.0.0.1:") for port in ports), ports


def test_every_image_has_an_exact_version(all_services):
    for service in all_services.values():
        assert re.fullmatch(r"\S+/\S+:v?\d+\.\d+\.\d+|postgres:\d+\.\d+", service["image"])


def test_without_a_configuration_nothing_is_watched(file):
    text = file.read_text()
    named = re.findall(r"\$\{MONITOR_CONFIG(.*?)\}", text)

    assert len(named) == 2
    assert all(rest.startswith(":?name the folder of your config.yaml") for rest in named), named
    assert "simulat" not in yaml.safe_dump(yaml.safe_load(text))


def test_the_simulator_shares_neither_volumes_nor_containers_with_what_watches_accounts(
    file, overlay
):
    assert overlay["name"] != yaml.safe_load(file.read_text())["name"]
    assert {*overlay["services"]} == {"monitor", "simulator"}
    assert {*overlay["services"]["monitor"]} == {"ports"}


def test_the_configuration_beside_the_simulator_is_valid_and_watches_it(deploy):
    config = load(deploy / "compose" / "simulator" / "config.yaml", {})
    assert config.linked_api.base_url == "http://127.0.0.1:8600"
    assert config.workspaces[0].token.reveal() == TOKEN
    assert not config.warnings


def test_two_monitors_differ_in_their_names_alone(services, replicas):
    first, second = services["monitor"] | replicas["monitor"], replicas["monitor-2"]
    environment = services["monitor"]["environment"] | replicas["monitor"]["environment"]

    assert second["environment"] == environment
    assert {**second, "hostname": "monitor", "environment": environment} == {
        **{key: value for key, value in first.items() if key != "build"},
        "environment": environment,
        "volumes": first["volumes"][1:],  # the first is that of SQLite
        "ports": second["ports"],
    }
    assert second["hostname"] == "monitor-2"


def test_two_monitors_work_on_the_database_that_starts_with_them(replicas):
    (url,) = {
        replicas[name]["environment"]["LINKEDAPI_MONITOR_STORAGE_URL"]
        for name in ("monitor", "monitor-2")
    }
    database = replicas["postgres"]["environment"]

    assert url == (
        f"postgresql://{database['POSTGRES_USER']}:{database['POSTGRES_PASSWORD']}@postgres/monitor"
    )
    assert database["POSTGRES_PASSWORD"].startswith("${DATABASE_PASSWORD:?")


def test_prometheus_finds_both_monitors(deploy, replicas):
    scraped = yaml.safe_load((deploy / "prometheus" / "prometheus.yml").read_text())
    (job,) = (j for j in scraped["scrape_configs"] if j["job_name"] == "linkedapi-monitor")
    ((pattern,),) = (entry["files"] for entry in job["file_sd_configs"])
    ((source, target, _),) = (volume.split(":") for volume in replicas["prometheus"]["volumes"])
    (file,) = (deploy / "compose" / source).iterdir()

    assert fnmatch(f"{target}/{file.name}", pattern)
    targets = [*job["static_configs"], *yaml.safe_load(file.read_text())]
    assert [entry["targets"] for entry in targets] == [["monitor:9464"], ["monitor-2:9464"]]


def test_a_container_has_time_to_stop(services, replicas):
    for service in (services["monitor"], replicas["monitor-2"]):
        assert Duration.parse(service["stop_grace_period"]).seconds >= MAX_STOPPING.seconds + 5


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


def test_what_is_mounted_from_the_repository_is_there(file, services, replicas):
    for service in (*services.values(), *replicas.values()):
        for volume in service.get("volumes", ()):
            source = volume.partition(":")[0]
            assert not source.startswith(".") or (file.parent / source).is_dir(), source

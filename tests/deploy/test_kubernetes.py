"""The kustomize base: rendered by kubectl, validated against the schemas of Kubernetes."""

from pathlib import Path

import pytest
import yaml


@pytest.fixture
def base(deploy):
    return deploy / "kubernetes" / "base"


@pytest.fixture
def rendered(base, run_tool):
    """The base as kubectl would apply it: documents by their kind."""
    code, output = run_tool("kubectl", "kustomize", base)
    assert code == 0, output
    return {document["kind"]: document for document in yaml.safe_load_all(output)}


@pytest.fixture
def pod(base):
    return yaml.safe_load((base / "deployment.yaml").read_text())["spec"]["template"]


def test_the_schemas_of_kubernetes_have_every_field_of_the_base(rendered, tmp_path, run_tool):
    file = tmp_path / "rendered.yaml"
    file.write_text(yaml.safe_dump_all(rendered.values()))
    code, output = run_tool("kubernetes-validate", "--strict", file)
    assert (code, output.count("passed")) == (0, 5), output


def test_the_rendered_deployment_reads_the_rendered_configuration(rendered):
    volumes = rendered["Deployment"]["spec"]["template"]["spec"]["volumes"]
    names = [volume["configMap"]["name"] for volume in volumes if "configMap" in volume]
    assert names == [rendered["ConfigMap"]["metadata"]["name"]]
    assert list(rendered["ConfigMap"]["data"]) == ["config.yaml"]


@pytest.mark.parametrize("folder", ["base", "components/podmonitor"])
def test_every_manifest_is_listed(deploy, folder):
    files = {file.name for file in (deploy / "kubernetes" / folder).glob("*.yaml")}
    kustomization = deploy / "kubernetes" / folder / "kustomization.yaml"
    listed = yaml.safe_load(kustomization.read_text())
    generators = listed.get("configMapGenerator", ())
    generated = [name for generator in generators for name in generator["files"]]
    assert {*listed["resources"], *generated, "kustomization.yaml"} == files


def test_the_base_holds_no_secret(base):
    for file in base.glob("*.yaml"):
        assert all(document["kind"] != "Secret" for document in documents(file)), file


def test_never_two_monitors_share_a_database(base):
    (deployment,) = documents(base / "deployment.yaml")
    assert deployment["spec"]["replicas"] == 1
    assert deployment["spec"]["strategy"] == {"type": "Recreate"}


def test_the_pod_meets_the_restricted_standard(pod):
    spec, (container,) = pod["spec"], pod["spec"]["containers"]
    assert spec["securityContext"]["runAsNonRoot"]
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not spec["automountServiceAccountToken"]


def test_a_database_that_fails_takes_the_pod_out_of_service_and_does_not_restart_it(pod):
    (container,) = pod["spec"]["containers"]
    assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"
    assert container["startupProbe"]["httpGet"]["path"] == "/healthz"
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"


def test_the_pod_listens_where_its_probes_ask(pod):
    (container,) = pod["spec"]["containers"]
    environment = {variable["name"]: variable["value"] for variable in container["env"]}
    assert environment["LINKEDAPI_MONITOR_DEFAULT_LISTEN"] == "[::]:9464"
    assert container["ports"] == [{"name": "http", "containerPort": 9464}]


def test_service_and_pod_monitor_find_the_pod(deploy, base, pod):
    (service,) = documents(base / "service.yaml")
    (pod_monitor,) = documents(deploy / "kubernetes/components/podmonitor/podmonitor.yaml")
    labels, (container,) = pod["metadata"]["labels"], pod["spec"]["containers"]
    assert service["spec"]["selector"] == labels
    assert pod_monitor["spec"]["selector"]["matchLabels"] == labels
    (port,) = service["spec"]["ports"]
    (endpoint,) = pod_monitor["spec"]["podMetricsEndpoints"]
    assert port["targetPort"] == endpoint["port"] == container["ports"][0]["name"]


def test_the_configuration_of_the_base_reads_its_tokens_from_the_mounted_secret(base, pod):
    (container,) = pod["spec"]["containers"]
    (mount,) = [mount for mount in container["volumeMounts"] if mount["name"] == "secrets"]
    config = yaml.safe_load((base / "config.yaml").read_text())
    files = [config["workspaces"][0]["token_file"], config["web"]["metrics_token_file"]]
    assert {str(Path(file).parent) for file in files} == {mount["mountPath"]}


def test_the_metrics_are_for_prometheus_alone(deploy, base, pod):
    (policy,) = documents(base / "networkpolicy.yaml")
    (pod_monitor,) = documents(deploy / "kubernetes/components/podmonitor/podmonitor.yaml")
    config = yaml.safe_load((base / "config.yaml").read_text())
    (endpoint,) = pod_monitor["spec"]["podMetricsEndpoints"]
    secret = [volume["secret"] for volume in pod["spec"]["volumes"] if "secret" in volume]

    assert policy["spec"]["podSelector"]["matchLabels"] == pod["metadata"]["labels"]
    assert policy["spec"]["policyTypes"] == ["Ingress"]
    (rule,) = policy["spec"]["ingress"]
    assert rule["from"]
    assert rule["ports"] == [{"protocol": "TCP", "port": "http"}]
    credentials = endpoint["authorization"]["credentials"]
    assert credentials["name"] == secret[0]["secretName"]
    assert credentials["key"] == Path(config["web"]["metrics_token_file"]).name


def documents(file):
    return [document for document in yaml.safe_load_all(file.read_text()) if "kind" in document]

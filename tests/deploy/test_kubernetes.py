"""The kustomize base and its components: rendered by kubectl, held against Kubernetes' schemas."""

import shutil
from pathlib import Path

import pytest
import yaml

from monitor.app.loops import MAX_STOPPING

STORAGE_VARIABLES = {"LINKEDAPI_MONITOR_STORAGE_URL", "LINKEDAPI_MONITOR_DEFAULT_STORAGE_URL"}


@pytest.fixture
def base(deploy):
    return deploy / "kubernetes" / "base"


@pytest.fixture
def render(run_tool):
    """What kubectl would apply of a folder: documents by their kind."""

    def run(folder):
        code, output = run_tool("kubectl", "kustomize", folder)
        assert code == 0, output
        return {document["kind"]: document for document in yaml.safe_load_all(output)}

    return run


@pytest.fixture
def rendered(base, render):
    return render(base)


@pytest.fixture
def replicas(deploy, tmp_path, render):
    """The base with the component of two monitors."""
    shutil.copytree(deploy / "kubernetes", tmp_path / "kubernetes")
    overlay = {
        "kind": "Kustomization",
        "resources": ["kubernetes/base"],
        "components": ["kubernetes/components/replicas"],
    }
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(overlay))
    return render(tmp_path)


@pytest.fixture
def pod(base):
    return yaml.safe_load((base / "deployment.yaml").read_text())["spec"]["template"]


@pytest.mark.parametrize("variant", ["rendered", "replicas"])
def test_the_schemas_of_kubernetes_have_every_field(variant, request, tmp_path, run_tool):
    documents = request.getfixturevalue(variant)
    file = tmp_path / "rendered.yaml"
    file.write_text(yaml.safe_dump_all(documents.values()))
    code, output = run_tool("kubernetes-validate", "--strict", file)
    assert (code, output.count("passed")) == (0, 5), output


def test_the_rendered_deployment_reads_the_rendered_configuration(rendered):
    volumes = rendered["Deployment"]["spec"]["template"]["spec"]["volumes"]
    names = [volume["configMap"]["name"] for volume in volumes if "configMap" in volume]
    assert names == [rendered["ConfigMap"]["metadata"]["name"]]
    assert list(rendered["ConfigMap"]["data"]) == ["config.yaml"]


@pytest.mark.parametrize("folder", ["base", "components/podmonitor", "components/replicas"])
def test_every_manifest_is_listed(deploy, folder):
    files = {file.name for file in (deploy / "kubernetes" / folder).glob("*.yaml")}
    kustomization = deploy / "kubernetes" / folder / "kustomization.yaml"
    listed = yaml.safe_load(kustomization.read_text())
    generators = listed.get("configMapGenerator", ())
    generated = [name for generator in generators for name in generator["files"]]
    patches = [patch["path"] for patch in listed.get("patches", ())]
    assert {*listed["resources"], *generated, *patches, "kustomization.yaml"} == files


def test_no_manifest_holds_a_secret(deploy):
    for file in (deploy / "kubernetes").rglob("*.yaml"):
        assert all(document["kind"] != "Secret" for document in documents(file)), file


def test_never_two_monitors_share_a_volume(base):
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


def test_the_pod_has_time_to_stop(pod):
    assert pod["spec"]["terminationGracePeriodSeconds"] >= MAX_STOPPING.seconds + 5


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


# ── two monitors on PostgreSQL ───────────────────────────────────────────────────────────────────


def test_an_update_of_two_monitors_has_one_ready_for_each_that_stops(replicas):
    spec = replicas["Deployment"]["spec"]
    assert spec["replicas"] == 2
    assert spec["strategy"] == {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0},
    }
    (container,) = spec["template"]["spec"]["containers"]
    probe = container["readinessProbe"]
    assert probe["httpGet"]["path"] == "/readyz"
    assert probe["periodSeconds"] < spec["minReadySeconds"], "asked more than once"


def test_of_two_monitors_one_stays_whoever_empties_nodes(replicas):
    budget = replicas["PodDisruptionBudget"]["spec"]
    assert replicas["Deployment"]["spec"]["replicas"] - budget["maxUnavailable"] == 1
    assert budget["unhealthyPodEvictionPolicy"] == "AlwaysAllow"
    assert budget["selector"] == replicas["Deployment"]["spec"]["selector"]


def test_two_monitors_are_on_two_hosts_where_there_are_two(replicas):
    template = replicas["Deployment"]["spec"]["template"]
    ((rule,),) = template["spec"]["affinity"]["podAntiAffinity"].values()
    assert [*template["spec"]["affinity"]["podAntiAffinity"]] == [
        "preferredDuringSchedulingIgnoredDuringExecution"
    ]
    term = rule["podAffinityTerm"]
    assert term["topologyKey"] == "kubernetes.io/hostname"
    assert term["labelSelector"]["matchLabels"] == template["metadata"]["labels"]


def test_two_monitors_share_a_database_that_the_secret_names_and_nothing_else(replicas, rendered):
    spec = replicas["Deployment"]["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    (variable,) = [
        variable for variable in container["env"] if variable["name"] in STORAGE_VARIABLES
    ]
    (secret,) = [volume["secret"] for volume in spec["volumes"] if "secret" in volume]

    assert variable == {
        "name": "LINKEDAPI_MONITOR_STORAGE_URL",
        "valueFrom": {"secretKeyRef": {"name": secret["secretName"], "key": "database-url"}},
    }
    assert "PersistentVolumeClaim" not in replicas
    assert "persistentVolumeClaim" not in str(spec["volumes"])
    names = {volume["name"] for volume in spec["volumes"]}
    assert {mount["name"] for mount in container["volumeMounts"]} == names
    before = rendered["Deployment"]["spec"]["template"]["spec"]["containers"][0]["env"]
    assert [entry for entry in container["env"] if entry != variable] == before


def test_each_of_two_monitors_has_the_name_of_its_pod(replicas, base):
    spec = replicas["Deployment"]["spec"]["template"]["spec"]
    assert not {"hostname", "hostNetwork", "setHostnameAsFQDN"} & {*spec}
    assert "name" not in yaml.safe_load((base / "config.yaml").read_text())


def documents(file):
    return [document for document in yaml.safe_load_all(file.read_text()) if "kind" in document]

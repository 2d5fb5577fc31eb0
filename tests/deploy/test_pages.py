"""What the pages tell people to type: run where it can be, else compared with what is run."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from harness.pages import ROOT, blocks, steps

from monitor.config.environment import VARIABLES

DOCS = ROOT / "docs"


def commands(page):
    """The commands in the `sh` blocks of docs/*page*.md, as lists of words without comments."""
    lines = "".join(blocks(f"docs/{page}.md", "sh")).replace("\\\n", " ").splitlines()
    return [shlex.split(line, comments=True) for line in lines]


def command(page, *beginning):
    """The one command of a page that begins with these words."""
    (words,) = [words for words in commands(page) if words[: len(beginning)] == [*beginning]]
    return words


def run(line, folder):
    return subprocess.run(
        ["sh", "-euc", line],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


# ── monitoring, Alertmanager: everything is run ──────────────────────────────────────────────────


@pytest.mark.parametrize(
    "block", blocks("docs/monitoring.md", "sh"), ids=lambda block: block.split()[0]
)
def test_what_is_shipped_for_prometheus_is_right_in_the_eyes_of_its_own_tools(block):
    needs(*{line.split()[0] for line in block.splitlines()})

    done = run(block, ROOT)

    assert (done.returncode, "FAILED" in done.stdout) == (0, False), done.stdout + done.stderr


def test_those_tools_are_named():
    assert [" ".join(words[:2]) for words in commands("monitoring")] == [
        "promtool check",
        "promtool test",
        "amtool check-config",
    ]


@pytest.fixture
def own(tmp_path):
    """A folder as somebody has it who followed docs/alertmanager.md."""
    needs("promtool", "amtool")
    prometheus, alertmanager = blocks("docs/alertmanager.md", "yaml")
    (tmp_path / "deploy").symlink_to(ROOT / "deploy")
    (tmp_path / "prometheus.yml").write_text(prometheus)
    (tmp_path / "alertmanager.yml").write_text(alertmanager)
    return tmp_path


def test_what_is_typed_for_an_alertmanager_of_ones_own_gives_what_is_shown(own):
    for block in blocks("docs/alertmanager.md", "console"):
        for command, shown in steps(block):
            seen = run(command, own).stdout.splitlines()
            assert [*filter(None, seen)] == [*filter(None, shown)], command

    (own / "linkedapi/metrics-token").touch()  # promtool wants it to be there
    checked = run("promtool check config prometheus.yml", own)
    assert (checked.returncode, "3 rule files found" in checked.stdout) == (0, True)


def test_alerts_that_are_routed_and_held_back_there_exist(own):
    rules = [
        yaml.safe_load(file.read_text()) for file in ROOT.glob("deploy/prometheus/rules/*.yml")
    ]
    rules = [rule for file in rules for group in file["groups"] for rule in group["rules"]]
    alerts = [rule["alert"] for rule in rules if "alert" in rule]
    text = (own / "alertmanager.yml").read_text()
    patterns = re.findall(r"alertname =~? (LinkedApi[^\"\]]*)", text)

    assert len(patterns) == 7
    for pattern in patterns:
        assert any(re.fullmatch(pattern, alert) for alert in alerts), pattern
    for label in re.findall(
        r"^\| (`\w+`(?:, `\w+`)*) \|", (DOCS / "alertmanager.md").read_text(), re.MULTILINE
    ):
        for name in re.findall(r"\w+", label):
            assert name in {"alertname", "status"} or name in str(rules), name


# ── deployment ───────────────────────────────────────────────────────────────────────────────────


def test_every_command_about_deployment_is_one_that_a_test_looks_at():
    looked_at = {"docker", "make", "cd", "curl", "MONITOR_CONFIG=./simulator", "deploy/install"}
    looked_at |= {"install", "cp", "export", "/opt/linkedapi-monitor/bin/linkedapi-monitor"}
    looked_at |= {"openssl", "kubectl"}

    assert {words[0] for words in commands("deployment")} == looked_at


def test_a_container_is_run_as_it_is_tried():
    tried = (ROOT / "deploy/container/try").read_text()
    (lock_down,) = re.findall(r"^lock_down=\((.*)\)$", tried, re.MULTILINE)
    typed = command("deployment", "docker", "run", "--detach")
    text = " ".join(typed)
    dockerfile = (ROOT / "Dockerfile").read_text()

    assert lock_down.removesuffix(" --memory 256m") in text
    shown = command("deployment", "docker", "run", "--rm")
    assert {*shown[4:-2]} <= {*lock_down.split()}
    assert shown[-1] == "demo", "which is tried, too"
    (port,) = re.findall(r"^EXPOSE (\d+)$", dockerfile, re.MULTILINE)
    (state,) = re.findall(r"^VOLUME (\S+)$", dockerfile, re.MULTILINE)
    assert f"--publish 127.0.0.1:{port}:{port} " in text
    assert f":{state} " in text
    (config,) = re.findall(r"--env LINKEDAPI_MONITOR_CONFIG=(\S+)", text)
    assert f":{Path(config).parent}:ro" in text
    name = typed[typed.index("--name") + 1]
    for page in DOCS.glob("*.md"):
        for other in re.findall(
            r"docker (?:exec(?: -t)?|kill --signal HUP) ([\w-]+)", page.read_text()
        ):
            assert other == name, page


def test_compose_is_called_with_files_that_exist_and_variables_that_it_reads():
    typed = [words for words in commands("deployment") if "compose" in words]
    text = "".join(file.read_text() for file in ROOT.glob("deploy/compose/*.yaml"))
    settings, _credential = blocks("docs/deployment.md", "ini")

    assert [words for words in typed if words[0] == "docker"] == [
        ["docker", "compose", "up", "--detach"]
    ]
    for words in typed:
        for file in (words[at + 1] for at, word in enumerate(words) if word == "-f"):
            assert (ROOT / "deploy/compose" / file).is_file(), file
            assert words[0] == "MONITOR_CONFIG=./simulator"
    for variable in re.findall(r"^(\w+)=", settings, re.MULTILINE):
        assert f"${{{variable}:" in text


def test_the_simulator_is_told_what_it_is_told_where_the_image_is_tried():
    body = command("deployment", "curl")[-1]

    assert f'b"""{body}"""' in (ROOT / "deploy/container/try").read_text()


def test_a_host_gets_what_the_unit_looks_for():
    unit = (ROOT / "deploy/systemd/linkedapi-monitor.service").read_text()
    (program, config) = re.search(
        r"^ExecStart=(\S+) run --config (\S+)$", unit, re.MULTILINE
    ).groups()
    (credential, file) = re.search(r"^LoadCredential=(\S+):(\S+)$", unit, re.MULTILINE).groups()
    folder = command("deployment", "deploy/install")[1]
    exported = dict(
        word.split("=", 1)
        for words in commands("deployment")
        if words[0] == "export"
        for word in words[1:]
    )

    assert program == f"{folder}/bin/linkedapi-monitor"
    assert command("deployment", program) == [program, "incidents"]
    assert command("deployment", "install", "-m")[-1] == file
    assert command("deployment", "install", "-d")[-1] == str(Path(config).parent)
    assert (ROOT / command("deployment", "cp")[1]).is_file()
    assert {*exported} - {*VARIABLES} == {"LINKEDAPI_MONITOR_CONFIG", "CREDENTIALS_DIRECTORY"} | {
        "RUNTIME_DIRECTORY"
    }
    assert exported["LINKEDAPI_MONITOR_CONFIG"] == config
    assert exported["CREDENTIALS_DIRECTORY"] == str(Path(file).parent)
    assert Path(file).name == credential
    storage = exported["LINKEDAPI_MONITOR_DEFAULT_STORAGE_URL"]
    assert f"Environment=LINKEDAPI_MONITOR_DEFAULT_STORAGE_URL={storage}\n" in unit


def test_an_overlay_of_the_base_can_be_rendered_and_its_secret_is_what_the_pod_mounts(tmp_path):
    needs("kubectl")
    (overlay,) = [text for text in blocks("docs/deployment.md", "yaml") if "Kustomization" in text]
    shutil.copytree(ROOT / "deploy/kubernetes", tmp_path / "deploy/kubernetes")
    folder = tmp_path / "overlay"
    folder.mkdir()
    (folder / "kustomization.yaml").write_text(overlay)
    shutil.copy(ROOT / "deploy/kubernetes/base/config.yaml", folder)

    done = run("kubectl kustomize overlay", tmp_path)

    assert done.returncode == 0, done.stderr
    documents = {document["kind"]: document for document in yaml.safe_load_all(done.stdout)}
    spec = documents["Deployment"]["spec"]["template"]["spec"]
    secrets = [volume["secret"]["secretName"] for volume in spec["volumes"] if "secret" in volume]
    typed = command("deployment", "kubectl", "-n", "monitoring", "create")
    assert typed[typed.index("generic") + 1] == secrets[0]
    config = yaml.safe_load((folder / "config.yaml").read_text())
    wanted = {config["workspaces"][0]["token_file"], config["web"]["metrics_token_file"]}
    assert {f"--from-file={Path(file).name}" for file in wanted} <= {*typed}
    assert documents["Deployment"]["metadata"]["namespace"] == "monitoring"
    assert spec["containers"][0]["image"].startswith("images.example.com/")


# ── several monitors ─────────────────────────────────────────────────────────────────────────────


def test_two_monitors_are_made_of_what_is_there_and_the_secret_has_every_key_that_they_read():
    (overlay,) = [text for text in blocks("docs/replicas.md", "yaml") if "components:" in text]
    (base,) = [text for text in blocks("docs/deployment.md", "yaml") if "Kustomization" in text]
    listed = [{*yaml.safe_load(text)["components"]} for text in (base, overlay)]
    variant = ROOT / "deploy/kubernetes/components/replicas/deployment.yaml"
    (key,) = re.findall(r"secretKeyRef: .*key: ([\w-]+)", variant.read_text())
    created = [
        command(page, "kubectl", "-n", "monitoring", "create")
        for page in ("deployment", "replicas")
    ]

    assert listed[1] - listed[0] == {"../deploy/kubernetes/components/replicas"}
    assert listed[0] < listed[1]
    assert {*created[1]} - {*created[0]} == {f"--from-file={key}"}
    assert {*created[0]} < {*created[1]}


def test_two_monitors_of_compose_are_started_with_files_and_variables_that_exist():
    file = (ROOT / "deploy/compose/replicas.yaml").read_text()
    typed = " ".join(command("replicas", "docker"))
    (variable,) = re.findall(
        r'"(\w+)=\$\(openssl rand -hex 32\)"', "".join(blocks("docs/replicas.md", "sh"))
    )

    assert f"${{{variable}:?" in file
    assert typed in file, "its first lines say the same"
    for name in re.findall(r"-f (\S+)", typed):
        assert (ROOT / "deploy/compose" / name).is_file()


def needs(*programs):
    for program in programs:
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed")

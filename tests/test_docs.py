"""What the documentation says is what the program does: neither has a word that the other lacks."""

import json
import re
import time
import tomllib
from inspect import signature

import pytest
import yaml
from harness import pages
from harness.notifications import message
from harness.receivers import KEY

from docs.__main__ import files, keys
from monitor import config, notifiers
from monitor.cli.commands import COMMANDS, load
from monitor.cli.output import Exit
from monitor.config.environment import CONFIG, VARIABLES
from monitor.config.json_schema import secret_keys
from monitor.core.model import Cause, EventType, Resolution
from monitor.core.render import Style
from monitor.metrics.families import FAMILIES
from monitor.notifiers import ReceiverSettings, webhook
from monitor.simulator import Fault, Simulator
from monitor.simulator.actions import ACTIONS
from monitor.store.backup import NOT_SQLITE

ROOT = pages.ROOT
PATHS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *ROOT.glob("bench/*.md")])
PAGES = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in PATHS}
ROW = re.compile(r"^\| `([^`]+)` *\|([^|]*)\|", re.MULTILINE)
LINK = re.compile(r"\]\(([^)\s]+)\)")
ENVIRON = {
    "WEBHOOK_SECRET": "whsec_" + "QUJD" * 8,
    "LINKED_API_TOKEN": "a-token",
    "SLACK_WEBHOOK_URL": "https://hooks.slack.com/services/x",
    "SMTP_PASSWORD": "a-password",
}


def rows(name):
    """The tables of a page whose first column is code: {first cell: second cell}."""
    return {first: second.strip() for first, second in ROW.findall(PAGES[name])}


# ── configuration ────────────────────────────────────────────────────────────────────────────────


def test_what_the_docs_and_the_schema_say_of_keys_is_what_the_code_says():
    written = {name: (ROOT / name).read_text(encoding="utf-8") for name in files()}

    assert written == files(), "write them anew: python -m docs"


def test_every_key_is_documented_and_no_other():
    documented = {name for name in rows("docs/configuration.md") if not name.isupper()}

    assert documented == {name for name, _ in keys(config.Config)}


def test_every_key_of_every_type_of_receiver_is_documented():
    types = notifiers.notifier_types()
    expected = {
        f"{kind}.{name}"
        for kind in types
        for name, _ in keys(notifiers.settings_type(kind))
        if name not in ReceiverSettings.model_fields
    }
    documented = {name for name in rows("docs/receivers.md") if "." in name}

    assert documented - {*map("incident.{}".format, EventType)} == expected


def test_every_type_of_receiver_is_documented():
    tables = rows("docs/receivers.md")
    assert {name for name in tables if name.isalpha()} - {"notice"} == {*notifiers.notifier_types()}


def test_every_secret_has_its_file_form_named():
    kinds = [notifiers.settings_type(kind) for kind in notifiers.notifier_types()]
    kinds += [field.annotation for field in config.Config.model_fields.values()]
    named = PAGES["docs/configuration.md"]
    for kind in kinds:
        if isinstance(kind, type):
            for key in secret_keys(kind):
                assert f"`{key}_file`" in named


def test_every_variable_is_documented():
    documented = {name for name in rows("docs/configuration.md") if name.isupper()}

    assert documented == {CONFIG, *VARIABLES}


def test_the_words_of_alerts_are_documented():
    assert all(f"`{cause}`" in PAGES["docs/configuration.md"] for cause in Cause)
    assert all(f"`{resolution}`" in PAGES["docs/receivers.md"] for resolution in Resolution)
    assert {f"incident.{event}" for event in EventType} <= set(rows("docs/receivers.md"))


# ── examples ─────────────────────────────────────────────────────────────────────────────────────


def examples():
    for name in PAGES:
        for number, (kind, text) in enumerate(pages.fences(name)):
            if kind == "yaml" and re.match(r"(#.*\n)*workspaces:", text):
                yield pytest.param(text, id=f"{name}-{number}")
    for path in (ROOT / "config.example.yaml", *ROOT.glob("deploy/**/config.yaml")):
        yield pytest.param(path.read_text(encoding="utf-8"), id=str(path.relative_to(ROOT)))


@pytest.mark.parametrize("text", list(examples()))
def test_every_example_of_a_configuration_loads(text, tmp_path):
    (tmp_path / "secret").write_text("a-secret-of-any-kind")
    (tmp_path / "metrics-token").write_text("a-token-beside-the-file")
    text = re.sub(r"(/run/secrets|\$\{CREDENTIALS_DIRECTORY\})/[\w/-]+", f"{tmp_path}/secret", text)
    file = tmp_path / "config.yaml"
    file.write_text(text, encoding="utf-8")

    assert config.load(file, ENVIRON).warnings == ()


def test_there_are_examples_to_load():
    assert len(list(examples())) >= 4


@pytest.mark.parametrize("name", PAGES)
def test_every_block_of_data_in_a_page_can_be_read(name):
    for kind, text in pages.fences(name):
        if kind == "yaml":
            assert list(yaml.safe_load_all(text))
        elif kind == "python":
            compile(text, name, "exec")


def test_the_example_of_a_notifier_works():
    module = {"__name__": "monitor.notifiers.mattermost", "__package__": "monitor.notifiers"}
    (example,) = pages.blocks("docs/developing.md", "python")
    exec(example, module)
    settings = module["Settings"](
        name="chat", type="mattermost", url="https://chat.example/hooks/x"
    )

    request = module["Notifier"](settings, http=None, style=Style()).request(message())

    assert request.url == settings.url
    assert "🔴 “Jane Doe” is signed out of LinkedIn" in json.loads(request.body)["text"]


def signed(now, **settings):
    values = {"name": "crm", "type": "webhook", "url": "https://crm.example/hook", **settings}
    notifier = webhook.Notifier(webhook.Settings(**values), http=None, style=Style())
    request = notifier.request(message(now=int(now * 1_000_000)))
    return dict(request.headers), request.body


@pytest.mark.parametrize(
    ("ago", "change", "is_ours"),
    [
        (0, {}, True),
        (240, {}, True),
        (-240, {}, True),
        (360, {}, False),
        (-360, {}, False),
        (25 * 365 * 86_400, {}, False),
        (0, {"webhook-signature": "v1,{other} {ours}"}, True),
        (0, {"webhook-signature": "{ours} v1,{other}"}, True),
        (0, {"webhook-signature": "v2,{other} {ours}"}, True),
        (0, {"webhook-signature": "v1,{other}"}, False),
        (0, {"webhook-signature": "no signature"}, False),
        (0, {"webhook-signature": "v1,ä"}, False),
        (0, {"webhook-timestamp": "soon"}, False),
        (0, {"webhook-id": "another"}, False),
        (0, {"webhook-id": ""}, False),
    ],
)
def test_the_example_of_a_verifier_takes_what_we_signed_lately(ago, change, is_ours):
    (example,), module = pages.blocks("docs/receivers.md", "python"), {}
    exec(example, module)
    headers, body = signed(time.time() - ago, secret=KEY)  # noqa: TID251 - it goes by the clock
    words = {"ours": headers["webhook-signature"], "other": "A" * 43 + "="}
    headers |= {name: value.format(**words) for name, value in change.items()}

    assert module["is_from_monitor"](KEY, headers, body) is is_ours
    assert not module["is_from_monitor"](KEY, headers, body + b" ")


# ── metrics, commands, exit codes ────────────────────────────────────────────────────────────────


def test_every_metric_is_documented_with_its_labels_and_no_other():
    documented = {
        name: set(filter(None, re.split(r",\s*", labels)))
        for name, labels in rows("docs/metrics.md").items()
        if name.startswith("linkedapi_")
    }

    assert documented == {family.name: set(family.labels) for family in FAMILIES}


def test_every_command_is_documented_with_its_options_and_no_other():
    documented = {
        name: set(re.findall(r"`(--[\w-]+)`", options))
        for name, options in rows("docs/commands.md").items()
    }

    assert documented == dict(commands({name: load(name) for name in COMMANDS}, ""))


def commands(group, prefix):
    for name, child in group.items():
        yield from commands(getattr(child, "commands", {}), f"{prefix}{name} ")
        if not getattr(child, "no_args_is_help", False):
            names = [name for param in child.params for name in param.opts + param.secondary_opts]
            options = {name for name in names if name.startswith("--")}
            yield f"{prefix}{name}", options - {"--config", "--help"}


def test_every_exit_code_is_documented_and_no_other():
    codes = re.findall(r"^\| (\d) \|", PAGES["docs/commands.md"], re.MULTILINE)

    assert [int(code) for code in codes] == sorted(Exit)


def test_every_action_of_the_simulator_is_documented_with_its_parameters_and_no_other():
    documented = {
        name: re.findall(r"`(\w+)`", parameters)
        for name, parameters in rows("docs/simulator.md").items()
    }
    taken = {name: [*signature(getattr(Simulator, name)).parameters][1:] for name in ACTIONS}
    taken["add_fault"] = [*signature(Fault).parameters]

    assert documented == taken


def test_a_backup_of_postgresql_is_refused_in_the_words_of_its_page():
    assert NOT_SQLITE in PAGES["docs/postgresql.md"].replace("\n", " ")


# ── pages ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", PAGES)
def test_every_link_within_the_project_leads_somewhere(name):
    for target in LINK.findall(PAGES[name]):
        if target.startswith(("https://", "http://")):
            continue
        file, _, anchor = target.partition("#")
        page = ((ROOT / name).parent / file).resolve() if file else ROOT / name
        assert page.exists(), target
        if anchor:
            assert anchor in anchors(page.read_text(encoding="utf-8")), target


def anchors(text):
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    slugs = {re.sub(r"[^\w\- ]", "", line.lower()).replace(" ", "-") for line in headings}
    return slugs | set(re.findall(r'id="([\w-]+)"', text))


@pytest.mark.parametrize("name", PAGES)
def test_every_make_target_and_extra_in_a_page_exists(name):
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    targets = set(re.findall(r"`make ([a-z-]+)", PAGES[name]))
    extras = set(re.findall(r"(?:linkedapi-monitor|\.)\[(\w+)\]", PAGES[name]))

    assert targets <= set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    assert extras <= set(project["optional-dependencies"])

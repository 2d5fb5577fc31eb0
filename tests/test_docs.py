"""What the documentation says is what the program does: neither has a word that the other lacks."""

import json
import re
import tomllib
from inspect import signature
from pathlib import Path

import pytest
import yaml
from harness.notifications import message
from typer.main import get_command

from monitor import config, notifiers
from monitor.cli.commands import app
from monitor.cli.output import Exit
from monitor.config.environment import CONFIG, VARIABLES
from monitor.config.settings import schema, secret_keys
from monitor.core.model import Cause, EventType, Resolution
from monitor.metrics.families import FAMILIES
from monitor.notifiers import ReceiverSettings
from monitor.simulator import Simulator
from monitor.simulator.actions import ACTIONS

ROOT = Path(__file__).parents[1]
PAGES = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for pattern in ("README.md", "docs/**/*.md", "bench/*.md")
    for path in sorted(ROOT.glob(pattern))
}
ROW = re.compile(r"^\| `([^`]+)` *\|([^|]*)\|", re.MULTILINE)
FENCE = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
ENVIRON = {
    "WEBHOOK_SECRET": "whsec_" + "QUJD" * 8,
    "LINKED_API_TOKEN": "a-token",
    "SLACK_WEBHOOK_URL": "https://hooks.slack.com/services/x",
    "SMTP_PASSWORD": "a-password",
}


def rows(page):
    """The tables of a page whose first column is code: {first cell: second cell}."""
    return {name: rest.strip() for name, rest in ROW.findall(PAGES[page])}


def blocks(page, kind):
    """The blocks of code of one kind in a page."""
    return [text for language, text in FENCE.findall(PAGES[page]) if language == kind]


# ── configuration ────────────────────────────────────────────────────────────────────────────────


def keys():
    """Every key of the file with its default: {"poll.every": "1m"}."""
    whole = schema()
    defaults = dict(_keys(whole, whole, ""))
    common = ReceiverSettings.model_fields
    for name in common:
        default = common[name].default
        defaults[f"receivers[].{name}"] = None if common[name].is_required() else default
    return {
        name: default
        for name, default in defaults.items()
        if not name.startswith("workspaces[].poll.")
        and (
            not name.endswith("_file") or name in ("workspaces[].token_file", "linked_api.ca_file")
        )
    }


def _keys(whole, node, prefix):
    node = _resolved(whole, node)
    for name, part in node.get("properties", {}).items():
        path = f"{prefix}{name}"
        inner = _resolved(whole, part)
        items = _resolved(whole, inner.get("items", {}))
        if path == "receivers":
            continue
        if "properties" in inner:
            if path.startswith("workspaces[]"):
                yield path, None
            yield from _keys(whole, inner, f"{path}.")
        elif "properties" in items:
            yield from _keys(whole, items, f"{path}[].")
        else:
            yield path, part.get("default")


def _resolved(whole, node):
    if "$ref" in node:
        return _resolved(whole, whole["$defs"][node["$ref"].rpartition("/")[2]])
    for choice in (*node.get("anyOf", ()), *node.get("oneOf", ())):
        resolved = _resolved(whole, choice)
        if "properties" in resolved or "items" in resolved:
            return resolved
    return node


def written(value):
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(written, value))}]"
    return str(value)


def test_every_key_is_documented_with_its_default_and_no_other():
    documented = {
        name: default
        for name, default in rows("docs/configuration.md").items()
        if not name.isupper()
    }

    assert set(documented) == set(keys())
    wrong = {
        name: (documented[name], default)
        for name, default in keys().items()
        if default not in (None, [], (), {}) and f"`{written(default)}`" not in documented[name]
    }
    assert wrong == {}


def test_every_key_of_every_type_of_receiver_is_documented():
    types = notifiers.notifier_types()
    expected = {
        f"{kind}.{field.alias or name}"
        for kind in types
        for name, field in notifiers.settings_type(kind).model_fields.items()
        if name not in ReceiverSettings.model_fields
    }
    documented = {name for name in rows("docs/receivers.md") if "." in name}

    assert documented - {"email.to.label", *map("incident.{}".format, EventType)} == expected


def test_every_type_of_receiver_is_documented():
    tables = rows("docs/receivers.md")
    assert {name for name in tables if name.isalpha()} - {"notice"} == {*notifiers.notifier_types()}
    types = ", ".join(f"`{kind}`" for kind in notifiers.notifier_types()[:-1])
    assert types in PAGES["docs/configuration.md"]


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
    assert set(map("incident.{}".format, EventType)) <= set(rows("docs/receivers.md"))


# ── examples ─────────────────────────────────────────────────────────────────────────────────────


def examples():
    for page in PAGES:
        for number, text in enumerate(blocks(page, "yaml")):
            if re.match(r"(#.*\n)*workspaces:", text):
                yield pytest.param(text, id=f"{page}-{number}")
    for path in (ROOT / "config.example.yaml", *ROOT.glob("deploy/**/config.yaml")):
        yield pytest.param(path.read_text(encoding="utf-8"), id=str(path.relative_to(ROOT)))


@pytest.mark.parametrize("text", list(examples()))
def test_every_example_of_a_configuration_loads(text, tmp_path):
    (tmp_path / "secret").write_text("a-secret")
    text = re.sub(r"(/run/secrets|\$\{CREDENTIALS_DIRECTORY\})/[\w/-]+", f"{tmp_path}/secret", text)
    file = tmp_path / "config.yaml"
    file.write_text(text, encoding="utf-8")

    assert config.load(file, ENVIRON).warnings == ()


def test_there_are_examples_to_load():
    assert len(list(examples())) >= 4


@pytest.mark.parametrize("page", PAGES)
def test_every_block_of_data_in_a_page_can_be_read(page):
    for text in blocks(page, "yaml"):
        assert list(yaml.safe_load_all(text))
    for text in blocks(page, "python"):
        compile(text, page, "exec")


def test_the_example_of_a_notifier_works():
    (example,) = blocks("docs/developing.md", "python")
    module = {"__name__": "monitor.notifiers.mattermost", "__package__": "monitor.notifiers"}
    exec(example, module)
    settings = module["Settings"](
        name="chat", type="mattermost", url="https://chat.example/hooks/x"
    )

    request = module["Notifier"](settings, http=None, timezone="UTC").request(message())

    assert request.url == settings.url
    assert json.loads(request.body)["text"].startswith("🔴 Jane Doe is signed out of LinkedIn")


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

    assert documented == dict(commands(get_command(app), ""))


def commands(command, prefix):
    for name, sub in command.commands.items():
        if hasattr(sub, "commands"):
            yield from commands(sub, f"{prefix}{name} ")
        else:
            options = {option for part in sub.params for option in part.opts if option[:2] == "--"}
            yield f"{prefix}{name}", options - {"--config", "--help"}


def test_every_exit_code_is_documented_and_no_other():
    codes = re.findall(r"^\| (\d) \|", PAGES["docs/commands.md"], re.MULTILINE)

    assert list(map(int, codes)) == sorted(Exit)


def test_every_action_of_the_simulator_is_documented_with_its_parameters_and_no_other():
    documented = {
        name: re.findall(r"`(\w+)`", parameters)
        for name, parameters in rows("docs/simulator.md").items()
    }

    assert documented == {
        name: list(signature(getattr(Simulator, name)).parameters)[1:] for name in ACTIONS
    }


# ── pages ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("page", PAGES)
def test_every_link_within_the_project_leads_somewhere(page):
    for target in LINK.findall(PAGES[page]):
        if target.startswith(("https://", "http://")):
            continue
        name, _, anchor = target.partition("#")
        path = (ROOT / page).parent / name if name else ROOT / page
        assert path.exists(), target
        if anchor:
            assert anchor in anchors(path.read_text(encoding="utf-8")), target


def anchors(text):
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    titles = {re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings}
    return {title.replace(" ", "-") for title in titles} | set(re.findall(r'id="([\w-]+)"', text))


def test_every_make_target_and_extra_in_a_page_exists():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    text = "".join(PAGES.values())

    assert set(re.findall(r"`make ([a-z-]+)", text)) <= targets
    extras = set(re.findall(r"(?:linkedapi-monitor|\.)\[(\w+)\]", text))
    assert extras <= set(project["optional-dependencies"])

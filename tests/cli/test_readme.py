"""What README.md shows is what is seen; what it tells people to type is there."""

import logging
import re
import shlex
from dataclasses import replace

import pytest
from anyio.from_thread import start_blocking_portal
from harness.core import MINUTE, NOON
from harness.notifications import account, message, notification
from harness.pages import ROOT, blocks, steps
from harness.raw_server import RawServer, http
from harness.receivers import MailServer

from monitor.cli.demo import lines_of
from monitor.core.model import Cause
from monitor.core.render import Style, render
from monitor.core.text import bare
from monitor.notifiers import slack

PAGE = "README.md"
ID = re.compile(r"\b[0-9a-f]{8}…")


def shown(payload):
    """A message of Slack as lines of text, its blocks apart."""
    parts = ["\n".join(map(str, lines_of(block))) for block in payload["blocks"]]
    return bare("\n\n".join(parts)) + "\n"


def test_the_message_of_slack_is_what_slack_gets():
    url = "https://www.linkedin.com/in/dana-doe-63ca828d/"
    dana = account("Dana Doe", id_="d5f4b3b2-e4b0-4ce6-8741-c7a87ce42c82", url=url)
    labels = {"owner": "sam@example.com", "team": "growth"}
    opened = notification(person=dana, labels=labels)
    opened = replace(opened, incident=replace(opened.incident, cause_since=NOON - MINUTE + 1))

    (block,) = blocks(PAGE, "text")

    assert block == shown(slack.payload(render(message(opened), Style())))


def test_the_group_of_the_page_of_alerts_is_what_a_mail_says():
    people = [account(name, id_=name) for name in ("Carla Tanaka", "Chen Jansen")]
    frozen = [notification(cause=Cause.FROZEN, person=person) for person in people]
    text = render(message(*frozen), Style(billing_url="https://app.linkedapi.io"))
    block, *_ = blocks("docs/alerts.md", "text")

    flat = " ".join(block.split())
    assert text.lead in flat
    assert f"🔴 8 accounts{text.title.removeprefix('2 accounts')}" in flat
    assert all(f"- {line.name}" in flat for line in text.sections[0].lines)


@pytest.fixture
def receivers(monkeypatch):
    """A chat and a mail server; where they are."""
    with (
        MailServer() as mail,
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(RawServer(http(200, b"ok"))) as chat,
    ):
        monkeypatch.setattr(logging.getLogger("mail.log"), "disabled", True)  # no line of ours
        monkeypatch.setenv("SLACK_WEBHOOK_URL", f"{chat.url}/hook")
        monkeypatch.setenv("SMTP_PASSWORD", "s3cr3t")
        yield f"host: 127.0.0.1, port: {mail.port}, tls: none, hello: localhost"


@pytest.fixture
def folder(simulator, api, receivers, tmp_path, monkeypatch):
    """Where somebody has written the file that README.md shows, for two accounts."""
    (example,) = blocks(PAGE, "yaml")
    example = re.sub(r"username: \w+, password: [^,]+,", "", example)  # nobody logs in there
    (tmp_path / "config.yaml").write_text(
        example.replace("host: smtp.example.com", receivers)
        + f"linked_api: {{base_url: '{api}'}}\nstorage: {{url: 'sqlite:///monitor.db'}}\n"
    )
    monkeypatch.setenv("LINKED_API_TOKEN", "linked_test_token")
    for name in ("Dana Doe", "Carla Tanaka"):
        simulator.add_account("acme", name=name)
    simulator.freeze("acme", "Dana Doe")
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("folder")
def test_the_console_blocks_show_what_is_seen(typed):
    for block in blocks(PAGE, "console"):
        for command, shown in steps(block):
            assert ID.sub("…", "\n".join(typed(command))) == ID.sub("…", "\n".join(shown))


def test_what_is_typed_in_a_clone_is_in_one():
    typed = [shlex.split(line, comments=True) for line in "".join(blocks(PAGE, "sh")).splitlines()]

    assert [words[:2] for words in typed] == [
        ["make", "demo"],
        ["make", "image"],
        ["docker", "run"],
        ["deploy/install", "~/linkedapi-monitor"],
        ["export", "PATH=~/linkedapi-monitor/bin:$PATH"],
        ["linkedapi-monitor", "check"],
        ["linkedapi-monitor", "run"],
    ]
    assert (ROOT / "deploy/install").stat().st_mode & 0o111

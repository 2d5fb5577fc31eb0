"""What is made of a configuration, and what of it stays when another one comes."""

import socket
from dataclasses import replace

import pytest
import structlog

from monitor.core.errors import MonitorError
from monitor.source.budget import Budget


async def prepare(harness, name="acme", **settings):
    config = harness.load(**{name: settings.pop("workspace", {})}, **settings)
    return config.workspaces[0], await harness.reconfigurer.prepare(config)


@pytest.mark.case("no receivers configured")
async def test_without_receivers_alerts_go_to_the_log_and_it_says_so(harness):
    with structlog.testing.capture_logs() as logs:
        _, components = await prepare(harness)

    assert components.settings.keys() == components.receivers.keys() == {"log"}
    assert [entry["event"] for entry in logs] == [
        "no receivers are configured: alerts go to the log only"
    ]


NAMED = """
name: prod
title_prefix: "[staging]"
timezone: Asia/Tokyo
receivers: [{name: own, type: log, timezone: Europe/Berlin}, {name: ops, type: log}]
"""


async def test_messages_are_written_as_the_configuration_says(harness):
    _, components = await prepare(harness, more=NAMED)
    own, style = (components.notifiers[name].style for name in ("own", "ops"))

    assert (style.monitor, style.prefix, style.timezone) == ("prod", "[staging]", "Asia/Tokyo")
    assert style.billing_url == "https://app.linkedapi.io"
    assert own == replace(style, timezone="Europe/Berlin")


async def test_a_monitor_without_a_name_has_that_of_the_host(harness):
    _, components = await prepare(harness)

    (notifier,) = components.notifiers.values()
    assert notifier.style.monitor == notifier.style.host == socket.gethostname()


@pytest.mark.parametrize(
    ("changes", "stays"),
    [
        ({}, True),
        ({"more": "incidents: {open_after: 2}"}, True),
        ({"workspace": {"poll": {"every": "5m"}}}, True),
        ({"workspace": {"token": "linked_other"}}, False),
        ({"more": "reconnection: {link_origins: ['https://x.test']}"}, False),
    ],
)
async def test_a_workspace_is_read_as_before_unless_what_that_is_made_of_changes(
    harness, changes, stays
):
    budget = Budget(60)
    settings, components = await prepare(harness)
    source = components.source(settings, budget)

    settings, components = await prepare(harness, **changes)

    assert (components.source(settings, budget, source) is source) is stays


async def test_other_settings_of_the_api_have_a_client_of_their_own_or_are_refused(
    harness, tmp_path
):
    settings = harness.load("acme").linked_api
    changed = settings.model_copy(update={"timeout": settings.timeout * 2})

    client = await harness.resources.api(settings)

    assert await harness.resources.api(settings) is client
    assert await harness.resources.api(changed) is not client
    with pytest.raises(MonitorError, match="ca_file"):
        await harness.resources.api(settings.model_copy(update={"ca_file": tmp_path / "missing"}))

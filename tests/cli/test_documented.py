"""What docs/commands.md shows of a terminal is what is seen there."""

from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

import pytest
from harness.core import HOUR, MINUTE, frozen, listed_account, signed_out
from harness.leases import REPLICA
from harness.pages import blocks, steps
from harness.receivers import KEY
from harness.store import StoreHarness

from monitor.app import process
from monitor.core.errors import AttemptReason, DeliveryError
from monitor.store import leases
from monitor.store.leases import Replica

PAGE = "docs/commands.md"
RECEIVERS = f"""
receivers:
  - {{name: ops-slack, type: slack, url: "http://127.0.0.1:9/slack"}}
  - {{name: crm, type: webhook, url: "http://127.0.0.1:9/crm", secret: {KEY}}}
routes:
  - {{match: {{cause: reconnection_required}}, to: [ops-slack, crm]}}
  - {{to: [ops-slack]}}
"""
UNAVAILABLE = DeliveryError("answered 503 Service Unavailable", reason=AttemptReason.SERVER)
NAMES = ("Carla Tanaka", "Chen Jansen", "Dana Doe", "Priya García")


def account(kind, name):
    id_ = str(uuid5(NAMESPACE_URL, name))
    link = f"https://app.linkedapi.io/connection/{uuid5(NAMESPACE_URL, id_)}"
    return kind(id_, name=name, **({"link": link} if kind is signed_out else {}))


@pytest.fixture
def history(store):
    """An incident that has ended, two that are open, and a receiver that takes nothing."""
    history = StoreHarness(store, receivers={"ops-slack": True, "crm": False})
    monitor = Replica(REPLICA, "monitor-1", history.now)
    history.run(lambda tx: leases.register(tx, monitor, silent={}))

    def poll(*bad, after=MINUTE):
        bad = dict(bad)
        history.poll(*(account(bad.get(name, listed_account), name) for name in NAMES), after=after)
        while history.deliver("ops-slack") is not None:
            pass

    poll()
    poll(("Dana Doe", frozen))
    history.deliver("crm")
    poll(after=3 * HOUR)
    history.deliver("crm")
    poll(("Carla Tanaka", signed_out), ("Dana Doe", frozen), after=HOUR)
    history.deliver("crm", error=UNAVAILABLE)
    history.now += 2_000_000
    return history


@pytest.mark.parametrize("block", blocks(PAGE, "console"))
def test_every_console_block_shows_what_is_seen(typed, configured, history, monkeypatch, block):
    monkeypatch.chdir(Path(configured(more=RECEIVERS)).parent)
    monkeypatch.setattr(process, "now", lambda: history.now)
    monkeypatch.setattr(process, "user", lambda: "ops")

    for command, shown in steps(block):
        assert typed(command) == shown, command


def test_there_are_blocks_to_compare():
    assert len(blocks(PAGE, "console")) == 6
    assert not blocks(PAGE, "sh")

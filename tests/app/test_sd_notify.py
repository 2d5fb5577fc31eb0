"""What the service manager is sent, over a real datagram socket."""

import os
import socket
from contextlib import contextmanager

import pytest

from monitor.app.sd_notify import SdNotify


@contextmanager
def listening(address):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(f"\0{address[1:]}" if address.startswith("@") else address)
        sock.settimeout(5)
        yield sock


@pytest.fixture(params=["path", "abstract"])
def address(request, tmp_path):
    return str(tmp_path / "notify") if request.param == "path" else f"@monitor-test-{os.getpid()}"


def test_the_service_manager_is_notified_of_how_the_monitor_fares(address):
    with listening(address) as sock:
        sd_notify = SdNotify(address)
        sd_notify.ready("watching 3 workspaces")
        sd_notify.reloading()
        sd_notify.alive()
        sd_notify.stopping()

        messages = [sock.recv(1000).decode() for _ in range(4)]

    assert messages[0] == "READY=1\nSTATUS=watching 3 workspaces"
    assert messages[1].splitlines()[0] == "RELOADING=1"
    assert messages[2:] == ["WATCHDOG=1", "STOPPING=1"]


@pytest.mark.parametrize("address", [None, "", "@monitor-nobody-is-here", "/nowhere/notify"])
def test_it_is_fine_if_nobody_listens(address):
    SdNotify(address).ready("watching 3 workspaces")


def test_a_service_manager_that_does_not_read_holds_nobody_up(address):
    with listening(address):
        sd_notify = SdNotify(address)

        for _ in range(1000):  # more than its queue takes
            sd_notify.alive()

"""What the service manager is sent, over a real datagram socket."""

import os
import socket

import pytest

from monitor.app.sd_notify import sd_notify


@pytest.fixture(params=["path", "abstract"])
def manager(request, tmp_path):
    """The address of a service manager, and its socket."""
    name = str(tmp_path / "notify") if request.param == "path" else f"@monitor-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(name.replace("@", "\0"))
        sock.settimeout(5)
        yield name, sock


def test_the_service_manager_is_sent_lines(manager):
    address, sock = manager

    sd_notify(address, "READY=1", "STATUS=watching 3 workspaces")

    assert sock.recv(1000) == b"READY=1\nSTATUS=watching 3 workspaces"


@pytest.mark.parametrize("address", [None, "", "@monitor-nobody-is-here", "/nowhere/notify"])
def test_it_is_fine_if_nobody_listens(address):
    sd_notify(address, "READY=1")


def test_a_service_manager_that_does_not_read_holds_nobody_up(manager):
    for _ in range(1000):  # more than its queue takes
        sd_notify(manager[0], "WATCHDOG=1")

"""Tells the service manager that started us, such as systemd, that we are ready and alive."""

import socket
from contextlib import suppress


def sd_notify(address: str | None, *lines: str) -> None:
    """Send *lines* of the protocol sd_notify to the datagram socket *address*, if there is one."""
    if not address:
        return
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)  # noqa: FBT003 - the socket's own interface
        path = f"\0{address[1:]}" if address[0] == "@" else address
        sock.sendto("\n".join(lines).encode(), path)

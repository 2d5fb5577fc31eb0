"""Tells the service manager that started us, such as systemd, that we are ready and alive."""

import socket
from contextlib import suppress


class SdNotify:
    """Speaks the protocol of sd_notify to the datagram socket *address*, if there is one."""

    def __init__(self, address: str | None = None) -> None:
        self._address = address

    def ready(self, status: str) -> None:
        """Say that the monitor works; *status* is shown to people."""
        self._send("READY=1", f"STATUS={status}")

    def reloading(self) -> None:
        """Say that another configuration is read; `ready` follows, whatever comes of it."""
        self._send("RELOADING=1")

    def stopping(self) -> None:
        """Say that the monitor begins to stop."""
        self._send("STOPPING=1")

    def alive(self) -> None:
        """Say that every loop cycles: a watchdog that is not told in time restarts us."""
        self._send("WATCHDOG=1")

    def _send(self, *lines: str) -> None:
        if not self._address:
            return
        path = self._address
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.setblocking(False)  # noqa: FBT003 - the socket's own interface
            sock.sendto("\n".join(lines).encode(), f"\0{path[1:]}" if path[0] == "@" else path)

"""The supervisor that started us, such as systemd: it learns when we are ready and that we live."""

import socket
from contextlib import suppress


class SdNotify:
    """Speaks the protocol of sd_notify to the datagram socket *address*; to nobody without one."""

    def __init__(self, address: str | None = None) -> None:
        self._address = address

    def ready(self, status: str) -> None:
        """Say that the monitor works; *status* is shown to people."""
        self._tell("READY=1", f"STATUS={status}")

    def reloading(self) -> None:
        """Say that another configuration is read; `ready` follows, whatever comes of it."""
        self._tell("RELOADING=1")

    def stopping(self) -> None:
        """Say that the monitor begins to stop."""
        self._tell("STOPPING=1")

    def alive(self) -> None:
        """Say that every loop cycles: who hears nothing for too long restarts us."""
        self._tell("WATCHDOG=1")

    def _tell(self, *lines: str) -> None:
        if not self._address:
            return
        path = self._address
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.setblocking(False)  # noqa: FBT003 - the socket's own interface
            sock.sendto("\n".join(lines).encode(), f"\0{path[1:]}" if path[0] == "@" else path)

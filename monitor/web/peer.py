"""Whose connection it is: limits count by peer."""

from ipaddress import IPv6Address, ip_address
from typing import Final

_HOST_BITS: Final = 64
"""The half of an IPv6 address that a host chooses itself, as often as it likes."""


def peer_of(client: tuple[str, int] | None) -> str:
    """Return what stands for the peer at *client*: an IPv4 address or the /64 of an IPv6 one."""
    if client is None:  # gone already
        return ""
    address = ip_address(client[0])
    if not isinstance(address, IPv6Address):
        return str(address)
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return f"{IPv6Address(int(address) >> _HOST_BITS << _HOST_BITS)}/64"

"""Which proxy leads to an address: the one of a setting, else what the usual variables say.

`HTTPS_PROXY`, `HTTP_PROXY` and `ALL_PROXY` name proxies, `NO_PROXY` what is reached without: names
(with all below them), addresses and networks, of IPv6 too, each with a port if it is for that
alone, or `*`. In small letters they count before the others. Proxies have to speak HTTP.
"""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final
from urllib.parse import unquote, urlsplit

from monitor.core.errors import SetupError
from monitor.core.secret import Secret
from monitor.core.url import split_web_url

WANTS_LOGIN: Final = "wants a login; write it as user:password@ into its address"
"""What a proxy does that answers 407."""

_DEFAULT_PORTS: Final = {"https": 443, "http": 80}
_BRACKETS: Final = re.compile(r"^\[([0-9a-f:.]+)\](/[0-9]{1,3})?$")
_ENTRY: Final = re.compile(
    r"(?:\[(?P<v6>[0-9a-f:.]+)\]|(?P<host>[^\s:/\[\]*]+))(?::(?P<port>[0-9]{1,5}))?"
)
_NAME: Final = re.compile(r"[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*")


@dataclass(frozen=True, slots=True)
class Exempt:
    """What is reached without a proxy, at a *port* or at all: a *network*, a *name*, or all."""

    network: IPv4Network | IPv6Network | None = None
    name: str = ""
    port: int | None = None

    def covers(self, host: str, port: int | None) -> bool:
        """Return whether *host*, a name or an address in small letters, is meant."""
        if self.port not in (None, port):
            return False
        if self.network is None and not self.name:
            return True
        address = _address(host)
        if address is None:
            return bool(self.name) and f".{host}".endswith(f".{self.name}")
        return self.network is not None and address in self.network


@dataclass(frozen=True, slots=True)
class Proxies:
    """The proxies that were configured: by scheme, the setting or variable and what it says.

    *warnings* say what of it is not understood and left out.
    """

    by_scheme: Mapping[str, tuple[str, Secret]]
    exempt: tuple[Exempt, ...] = ()
    warnings: tuple[str, ...] = ()

    def find(self, url: str) -> Secret | None:
        """Return the proxy that leads to *url*; raise SetupError if it is none."""
        parts = urlsplit(url)
        setting, proxy = self.by_scheme.get(parts.scheme, ("", None))
        if proxy is None:
            return None
        host = _ascii((parts.hostname or "").rstrip("."))
        port = parts.port or _DEFAULT_PORTS.get(parts.scheme)
        if any(exempt.covers(host, port) for exempt in self.exempt):
            return None
        try:
            return parse_proxy(proxy)
        except ValueError as error:
            raise SetupError(f"{setting}: {error}") from None


def always(setting: str, proxy: Secret) -> Proxies:
    """Return the proxies of one *setting* that counts for all."""
    return Proxies(dict.fromkeys(_DEFAULT_PORTS, (setting, proxy)))


def from_environment(environ: Mapping[str, str] = os.environ) -> Proxies:
    """Read the usual variables."""
    by_scheme = {}
    for scheme in _DEFAULT_PORTS:
        for name in (f"{scheme}_proxy", "all_proxy"):
            variable, value = _variable(environ, name)
            if value:
                by_scheme[scheme] = (variable, Secret(value))
                break
    variable, value = _variable(environ, "no_proxy")
    exempt, warnings = [], []
    for number, entry in enumerate(_entries(value), start=1):
        try:
            exempt.append(_parse_exempt(entry))
        except ValueError:
            warnings.append(
                f"{variable}: entry {number} is left out: it is no name, address or network"
            )
    return Proxies(by_scheme, tuple(exempt), tuple(warnings))


def parse_proxy(proxy: Secret) -> Secret:
    """Return the address of a *proxy* with its scheme; raise ValueError if it is none."""
    text = proxy.reveal()
    if "://" not in text:
        text = f"http://{text}"
    scheme = text.partition(":")[0].lower()
    if scheme.startswith("socks"):
        raise ValueError("SOCKS proxies are not supported; name a proxy that speaks HTTP")
    text = scheme + text[len(scheme) :]
    parts = split_web_url(text) if text.isprintable() and " " not in text else None
    if parts is None or not _is_host(parts.hostname or "") or "".join(parts[2:]) not in ("", "/"):
        hint = "; write / # ? @ : % in a password as %2F %23 %3F %40 %3A %25" if "@" in text else ""
        raise ValueError(f"must be an address such as http://proxy.example.com:3128{hint}")
    if ":" in unquote(parts.username or ""):
        raise ValueError("a user name must not hold a colon")
    return Secret(text)


def _variable(environ: Mapping[str, str], name: str) -> tuple[str, str]:
    """Return the variable that counts, and its value; one in small letters may be empty."""
    variable = name if name in environ else name.upper()
    return variable, environ.get(variable, "").strip()


def _entries(text: str) -> Iterator[str]:
    return (entry for entry in re.split(r"[\s,;]+", text) if entry)


def _parse_exempt(entry: str) -> Exempt:
    """Read one entry of `NO_PROXY`; raise ValueError if it is none."""
    if entry == "*":
        return Exempt()
    entry = _BRACKETS.sub(r"\1\2", entry.lower().removeprefix("*"))
    try:
        return Exempt(network=ip_network(entry, strict=False))
    except ValueError:
        parts = _ENTRY.fullmatch(entry)
    if parts is None:
        raise ValueError
    port = int(parts["port"]) if parts["port"] else None
    try:
        return Exempt(network=ip_network(parts["v6"] or parts["host"]), port=port)
    except ValueError:
        name = _ascii((parts["host"] or "").strip("."))
    if not _NAME.fullmatch(name) or name.replace(".", "").isdigit():
        raise ValueError
    return Exempt(name=name, port=port)


def _is_host(text: str) -> bool:
    return _address(text) is not None or _NAME.fullmatch(_ascii(text.rstrip("."))) is not None


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text.partition("%")[0])
    except ValueError:
        return None


def _ascii(name: str) -> str:
    """Write *name* as DNS does; one that has no such form stays as it is."""
    try:
        return name.encode("idna").decode()
    except UnicodeError:
        return name

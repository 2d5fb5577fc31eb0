"""How a mail is written: the same by every version of Python, and so that every server takes it.

All of it is ASCII, in lines of at most 76 characters where it can be: what a header has beyond is
encoded words (RFC 2047), the body is quoted-printable, a domain is written as DNS does. So it needs
no extension of a server, 8BITMIME and SMTPUTF8 included.
"""

import re
from base64 import b64encode
from binascii import b2a_qp
from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final, NamedTuple

import idna

from monitor.core.model import Micros

MAX_LINE: Final = 76
_MAX_WORD: Final = 39
"""How many bytes an encoded word holds, so that it fits behind `Subject: `, the longest name."""

_BOUNDARY: Final = "=_monitor"
"""In a body that is quoted-printable nothing reads like it (RFC 2045, 6.7)."""

_ENCODED: Final = "=?"
_JOINERS: Final = "[\u200c\u200d]"
"""Invisible, and parts of names in many languages."""

_FROM_1601_TO_1970: Final = 11_644_473_600
"""Seconds from the epoch of Windows to that of Unix."""

_MAILBOX: Final = re.compile(
    r"""\s* (?: (?: "(?P<quoted>(?:[^"\\]|\\.)*)" | (?P<name>[^"<>@,;:\\]*?) ) \s*
        <(?P<address>[^<>\s]+)> | (?P<bare>[^<>\s"]+) ) \s*""",
    re.VERBOSE,
)
_ATOM: Final = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LOCAL: Final = re.compile(rf"{_ATOM}(?:\.{_ATOM})*")
_NAME: Final = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9])?")
_WORDS: Final = re.compile(rf"{_ATOM}(?: {_ATOM})*")

NO_ADDRESS: Final = "must be an address such as ops@example.com or Ops <ops@example.com>"


class Mailbox(NamedTuple):
    """Where a mail comes from or goes to: a name, which may be empty, and an address in ASCII."""

    name: str
    address: str

    @property
    def domain(self) -> str:
        """What stands behind the @."""
        return self.address.rpartition("@")[2]


def parse_mailbox(text: str) -> Mailbox:
    """Return the mailbox in *text*; raise ValueError if it is not one that gets mail."""
    parts = _MAILBOX.fullmatch(text)
    is_printable = re.sub(_JOINERS, "", text).isprintable()
    if parts is None or not is_printable or _ENCODED in text:
        raise ValueError(NO_ADDRESS)
    name = re.sub(r"\\(.)", r"\1", parts["quoted"]) if parts["quoted"] else parts["name"] or ""
    local, at, domain = (parts["address"] or parts["bare"]).rpartition("@")
    if at and not local.isascii():
        raise ValueError(
            f"{NO_ADDRESS}; before the @ only ASCII works, as few servers take anything else"
        )
    if len(local) > 64 or not _LOCAL.fullmatch(local):
        raise ValueError(NO_ADDRESS)
    try:
        return Mailbox(name.strip(), f"{local}@{ascii_domain(domain)}")
    except ValueError as error:
        raise ValueError(f"{NO_ADDRESS}: its domain {error}") from None


def ascii_domain(name: str) -> str:
    """Return a domain as DNS writes it: `xn--bcher-kva.example`; raise ValueError if it is none."""
    try:
        name = name if name.isascii() else idna.encode(name, uts46=True).decode()
    except idna.IDNAError:
        raise ValueError("has letters that no domain can have") from None
    labels = name.split(".")
    if len(name) > 253 or not all(len(label) < 64 and _NAME.fullmatch(label) for label in labels):
        raise ValueError("is no domain such as example.com")
    return name


def parse_ip(text: str) -> IPv4Address | IPv6Address | None:
    """Return *text* as the address of a host, if it is one."""
    try:
        return ip_address(text)
    except ValueError:
        return None


def write_mail(
    *,
    sender: Mailbox,
    to: Sequence[Mailbox],
    subject: str,
    headers: Mapping[str, str],
    text: str,
    html: str,
) -> bytes:
    """Write a mail with the same in two forms; *headers* are in ASCII and each on one line."""
    lines = [
        f"From: {_write_mailbox(sender)}",
        f"To: {_joined(map(_write_mailbox, to), ',')}",
        f"Subject: {write_subject(subject)}",
        *(f"{name}: {_checked(value)}" for name, value in headers.items()),
        "MIME-Version: 1.0",
        f'Content-Type: multipart/alternative; boundary="{_BOUNDARY}"',
        "",
    ]
    for kind, content in (("plain", text), ("html", html)):
        lines += [
            f"--{_BOUNDARY}",
            f"Content-Type: text/{kind}; charset=utf-8",
            "Content-Transfer-Encoding: quoted-printable",
            "",
            *_quoted_printable(content),
        ]
    return "\r\n".join([*lines, f"--{_BOUNDARY}--", ""]).encode("ascii")


def thread_index(thread: str, start: Micros, age: int | None) -> str:
    """Write the header by which Outlook joins mails: of *thread*, which began at *start*.

    *age* says how many microseconds later a mail is that is not the first. Outlook does not go by
    References of mails from outside; its form is in MS-OXOMSG, 2.2.1.3.
    """
    filetime = (start // 1_000_000 + _FROM_1601_TO_1970) * 10_000_000
    index = (filetime >> 16).to_bytes(6) + blake2b(thread.encode(), digest_size=16).digest()
    if age is not None:
        index += (max(age, 0) * 10 >> 18 & 0x7FFF_FFFF).to_bytes(4) + b"\0"
    return b64encode(index).decode()


def write_subject(text: str) -> str:
    """Write *text* as the value of a header."""
    is_plain = text.isascii() and text.isprintable() and text == " ".join(text.split())
    if is_plain and _ENCODED not in text:
        return _joined(_fold(text, MAX_LINE - len("Subject: ")), "")
    return _joined(_encoded_words(text), "")


def _write_mailbox(mailbox: Mailbox) -> str:
    name, address = mailbox
    if not name:
        return address
    if _WORDS.fullmatch(name) and len(name) <= _MAX_WORD and _ENCODED not in name:
        return f"{name} <{address}>"
    return _joined([*_encoded_words(name), f"<{address}>"], "")


def _encoded_words(text: str) -> Iterator[str]:
    """Encode *text*, whole characters to a word; the white space between words does not count."""
    chunk = b""
    for character in text:
        encoded = character.encode("utf-8", "replace")
        if len(chunk) + len(encoded) > _MAX_WORD:
            yield _encoded_word(chunk)
            chunk = b""
        chunk += encoded
    yield _encoded_word(chunk)


def _encoded_word(chunk: bytes) -> str:
    return f"=?utf-8?b?{b64encode(chunk).decode()}?="


def _fold(text: str, width: int) -> Iterator[str]:
    """Break *text* at blanks: the one at the break begins the next line."""
    line = ""
    for word in text.split(" "):
        if line and len(line) + len(word) >= width:
            yield line
            line = word
        else:
            line = f"{line} {word}" if line else word
    yield line


def _joined(lines: Iterator[str] | Sequence[str], separator: str) -> str:
    return f"{separator}\r\n ".join(lines)


def _checked(value: str) -> str:
    if not (value.isascii() and value.isprintable() and len(value) < 900):
        raise ValueError("not the value of a header")
    return value


def _quoted_printable(text: str) -> list[str]:
    lines = "".join(f"{line}\n" for line in text.splitlines())
    encoded = b2a_qp(lines.encode("utf-8", "replace"), istext=True)
    return encoded.decode("ascii").split("\n")

"""The server that takes mail, as a person writes it in the configuration."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from monitor.core.doc import Doc
from monitor.core.secret import Secret
from monitor.core.url import is_loopback

from . import ReceiverSettings
from ._mail import ascii_domain, parse_ip


class SmtpSettings(ReceiverSettings):
    """What every receiver has that is told by mail: the server that takes it."""

    host: Annotated[str, Doc("the server that takes the mail", example="smtp.example.com")]
    port: Annotated[
        int, Doc("587 for `starttls`, 465 for `tls`, 25 between servers", example=465)
    ] = Field(default=587, ge=1, le=65535)
    tls: Annotated[
        Literal["starttls", "tls", "none"],
        Doc(
            "`starttls`, `tls` (usually port 465) or `none`: with a password that is an error"
            " unless the server is on this machine or `insecure: true` allows it",
            example="tls",
        ),
    ] = "starttls"
    ca_file: Annotated[
        Path | None,
        Doc(
            "a certificate to trust in addition to the usual ones",
            example="/etc/ssl/our-authority.pem",
        ),
    ] = None
    hello: Annotated[
        str | None,
        Doc(
            "the name that the server is greeted with (EHLO)",
            example="monitor.example.com",
            default="a name of this host",
        ),
    ] = None
    username: Annotated[
        str | None, Doc("with `password`; neither: no login", example="monitor")
    ] = None
    password: Annotated[Secret | None, Doc("with `username`", example="${SMTP_PASSWORD}")] = None

    @field_validator("host")
    @classmethod
    def _is_host(cls, host: str) -> str:
        return host if parse_ip(host) else ascii_domain(host)

    @field_validator("hello")
    @classmethod
    def _is_name(cls, hello: str | None) -> str | None:
        if hello is None:
            return None
        literal = re.fullmatch(r"\[(?:IPv6:)?([0-9A-Fa-f:.]+)\]", hello)
        return hello if literal and parse_ip(literal[1]) else ascii_domain(hello)

    @field_validator("username")
    @classmethod
    def _is_printable(cls, username: str | None) -> str | None:
        if username is not None and not username.isprintable():
            raise ValueError("holds a line break, or another character that can't be seen")
        return username

    @model_validator(mode="after")
    def _has_both_or_neither(self) -> Self:
        if self.username is not None and self.password is None:
            raise ValueError("needs password or password_file")
        if self.username is None and self.password is not None:
            raise ValueError("has a password but no username")
        return self

    @model_validator(mode="after")
    def _is_private(self) -> Self:
        if self.password is not None and self._travels_in_clear:
            raise ValueError(
                "sends its password in clear with tls: none; use starttls or tls,"
                " or allow it by insecure: true"
            )
        return self

    @property
    def _travels_in_clear(self) -> bool:
        return self.tls == "none" and not self.insecure and not is_loopback(self.host)

    @property
    def oddities(self) -> Mapping[str, str]:
        """What is usable but was hardly meant: a sentence by key."""
        if not self._travels_in_clear:
            return {}
        return {
            "tls": "none lets anybody on the way read what is told, login links too; if that is"
            " meant, insecure: true says so"
        }

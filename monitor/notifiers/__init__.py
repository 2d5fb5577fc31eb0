"""Notifiers: one file per type of destination; the folder is the registry.

A module of this folder (or an entry point of the group `linkedapi_monitor.notifiers`) named `slack`
is the type `slack`. It has two classes: `Settings`, what a person writes in the configuration, and
`Notifier`, which hands one message over and raises `DeliveryError` if it could not.
"""

from typing import Any, ClassVar, Literal, Protocol

import httpx
from pydantic import BaseModel, ConfigDict, Field

from monitor.core.model import Message


class ReceiverSettings(BaseModel):
    """What every receiver has, whatever its type."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")
    type: str
    link: Literal["full", "none"] = "full"
    timezone: str | None = None


class Notifier(Protocol):
    """Hands messages over to one receiver.

    *groups* says whether one message may tell of many incidents (people) or only of one (machines).
    """

    groups: ClassVar[bool]

    def __init__(self, settings: Any, *, http: httpx.AsyncClient, timezone: str) -> None: ...

    async def send(self, message: Message) -> None:
        """Hand *message* over, once; raise DeliveryError if it was not accepted."""

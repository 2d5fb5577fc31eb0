"""Delivers what the outbox holds: claim, read again, render, send, settle."""

from pydantic import BaseModel, ConfigDict

from monitor.core.duration import Duration


class DeliverySettings(BaseModel):
    """The section `delivery`: how long a message is tried before it is given up."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    deadline: Duration = Duration.parse("24h")

"""Wakes the workers when their workspace is due: APScheduler, and nothing else touches it."""

from pydantic import BaseModel, ConfigDict, field_validator

from monitor.core.duration import Duration


class PollSettings(BaseModel):
    """The section `poll`, for all workspaces or for one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    every: Duration = Duration.parse("60s")
    jitter: Duration = Duration.parse("5s")

    @field_validator("every")
    @classmethod
    def _is_long_enough(cls, value: Duration) -> Duration:
        if value.seconds < 1:
            raise ValueError("must be 1s or longer")
        return value

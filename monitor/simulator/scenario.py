"""Scenarios: what happens to the simulated accounts, and when."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .actions import Simulator, bind_action


@dataclass(frozen=True, slots=True)
class Step:
    """An *action* of the simulator, *at* seconds after the start."""

    at: float
    action: str
    parameters: Mapping[str, Any] = field(default_factory=dict)


def login(customer: str, account: str, *, at: float, every: float) -> Sequence[Step]:
    """Let the owner of *account* open the link and log in, one step *every* so many seconds."""
    selected = {"customer": customer, "account": account}
    return [
        Step(at + number * every, "set_session", {**selected, "status": status})
        for number, status in enumerate(("preparing", "serving", "streaming", "success"))
    ]


async def play(
    simulator: Simulator,
    scenario: Iterable[Step],
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
) -> None:
    """Carry out the steps of *scenario* in the order of their times.

    Every step is checked before the first is carried out, so that a misspelt one shows at once.
    """
    ordered = sorted(scenario, key=lambda step: step.at)
    actions = [bind_action(simulator, step.action, step.parameters) for step in ordered]
    elapsed = 0.0
    for step, action in zip(ordered, actions, strict=True):
        if step.at > elapsed:
            await sleep(step.at - elapsed)
            elapsed = step.at
        action()

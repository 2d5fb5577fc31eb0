"""What a notifier brings back from a message that was handed over."""

from dataclasses import dataclass

from .errors import DeliveryError


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a notifier brings back from a message that was handed over, to some at least.

    Where others of the same message did not take it, *accepted* are the addresses that did, and
    *refused* those that never will; *failure* says what happened, and the rest is tried again,
    alone, unless its remedy is to drop. *post* is JSON by which the notifier finds again what it
    posted, and nobody else reads.
    """

    accepted: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    failure: DeliveryError | None = None
    post: object = None

    @property
    def is_taken(self) -> bool:
        """Whether anybody took the message by this attempt."""
        return self.failure is None or bool(self.accepted)

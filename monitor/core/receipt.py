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

    def __post_init__(self) -> None:
        """Raise TypeError if this can't be recorded: whoever wrote a notifier made it."""
        addresses: tuple[object, ...] = (*self.accepted, *self.refused)
        failure: object = self.failure
        if not all(isinstance(address, str) for address in addresses):
            raise TypeError("addresses are texts")
        if not isinstance(failure, DeliveryError | None):
            raise TypeError("a failure is a DeliveryError")

    @property
    def is_taken(self) -> bool:
        """Whether anybody took the message by this attempt."""
        return self.failure is None or bool(self.accepted)

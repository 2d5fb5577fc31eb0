"""A text that must not be seen: it prints as asterisks wherever it ends up."""

from typing import Any, Final

MASK: Final = "**********"


class Secret:
    """Holds a token, a password, a capability URL or a link; only `reveal()` gives it back.

    Two secrets are equal when their texts are. Surrounding white space is stripped: a trailing
    newline is the commonest thing wrong with a secret that was read from a file.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value.strip()

    def reveal(self) -> str:
        """Return the text itself: call this only where it is sent to its own destination."""
        return self._value

    def __repr__(self) -> str:
        return f"Secret({MASK!r})"

    def __str__(self) -> str:
        return MASK

    def __format__(self, spec: str) -> str:
        return format(MASK, spec)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._value == other._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __bool__(self) -> bool:
        return bool(self._value)

    def __reduce__(self) -> str:
        raise TypeError("a secret cannot be pickled")

    @classmethod
    def _parse(cls, value: Any) -> "Secret":
        if isinstance(value, Secret):
            return value
        if not isinstance(value, str):
            raise ValueError("must be text")  # noqa: TRY004 - pydantic reports ValueError only
        if not value.strip():
            raise ValueError("is empty")
        return cls(value)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> dict[str, Any]:
        """Let pydantic read a secret from text (a core schema is a plain dict)."""
        return {
            "type": "function-plain",
            "function": {"type": "no-info", "function": cls._parse},
            "serialization": {"type": "to-string"},
        }

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, handler: Any) -> dict[str, Any]:
        """Describe it as text that is written, never read back."""
        return {"type": "string", "format": "password", "writeOnly": True}

"""What a key of the configuration means: the one source of its JSON Schema and of the docs."""

from typing import Any, Final


class Doc:
    """Marks a key with its *meaning*, in Markdown without links, and with an *example* of a value.

    *default* says what counts where nothing is written, if that is no plain value.
    """

    __slots__ = ("default", "example", "meaning")

    def __init__(self, meaning: str, *, example: Any, default: str = "") -> None:
        self.meaning: Final = meaning
        self.example: Final = example
        self.default: Final = default

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> dict[str, Any]:
        """Describe the key (a JSON Schema is a plain dict)."""
        default = f"{DEFAULT}{self.default}" if self.default else ""
        description = f"{self.meaning}{default}"
        return {**handler(schema), "description": description, "examples": [self.example]}


DEFAULT: Final = "\n\nDefault: "
"""What stands in a description before the default."""

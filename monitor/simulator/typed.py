"""Whether a value that came as JSON fits a type hint."""

from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin


def fits(value: object, hint: Any) -> bool:
    """Tell whether *value* may be passed where *hint* is asked for; a whole number is a float."""
    origin, parts = get_origin(hint), get_args(hint)
    if origin is Literal:
        return value in parts
    if origin in {Union, UnionType}:
        return any(fits(value, part) for part in parts)
    if origin is not None:
        keyed = isinstance(value, origin)
        return keyed and all(fits(item, parts[0]) for item in value)  # type: ignore[attr-defined]
    if isinstance(value, bool):
        return hint in {bool, Any}
    wanted = {float: int | float, Any: object}.get(hint, hint)
    return isinstance(value, wanted)

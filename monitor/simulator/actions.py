"""Calling an action of the simulator by its name, with parameters that came as JSON."""

from collections.abc import Callable, Mapping
from inspect import Parameter, signature
from typing import Any, get_type_hints

from .knobs import fits
from .world import UnknownNameError

ACTIONS = frozenset(
    {
        *("add_customer", "remove_customer", "set_token", "set_seats", "set_subscription"),
        *("add_account", "add_accounts", "remove", "return_as_new", "hide"),
        *("sign_out", "freeze", "recover", "rename", "set_reconnectable"),
        *("set_session", "set_session_status", "set_proxy_change"),
        *("rotate_link", "expire_session"),
        *("patch", "clear_patch", "override", "clear_override"),
        *("tune", "advance", "add_fault", "clear_faults"),
    }
)


def bound(owner: object, action: str, parameters: Mapping[str, Any]) -> Callable[[], object]:
    """Find *action* (`sign_out` or `sign-out`) in *owner* and fit *parameters* to it.

    Raise UnknownNameError for an action that is not there, ValueError for parameters that do not
    fit; nothing has happened then.
    """
    name = action.replace("-", "_")
    if name not in ACTIONS:
        raise UnknownNameError(f"there is no action {action!r}")
    method = getattr(owner, name)
    try:
        arguments = signature(method).bind(**parameters).arguments
    except TypeError as error:
        raise ValueError(f"{action}: {error}") from None
    hints = get_type_hints(method)
    for parameter in signature(method).parameters.values():
        if parameter.kind is Parameter.VAR_KEYWORD or parameter.name not in arguments:
            continue
        if not fits(arguments[parameter.name], hints[parameter.name]):
            raise ValueError(
                f"{action}: {parameter.name} cannot be {arguments[parameter.name]!r:.80}"
            )
    return lambda: method(**parameters)

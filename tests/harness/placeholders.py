"""The variables that `config show` has in place of the secrets that were written in a file."""

import re

import yaml

from monitor.core.secret import Secret


def placeholders(lines, config):
    """The variables that *lines* need to be loaded as *config*: {"SECRET_1": "…"}."""
    return dict(_placeholders(yaml.safe_load(lines), config.model_dump(by_alias=True)))


def _placeholders(shown, value):
    if isinstance(value, Secret):
        if match := re.fullmatch(r"\$\{(SECRET_\d+)\}", str(shown)):
            yield match[1], value.reveal()
    elif isinstance(value, dict) and isinstance(shown, dict):
        for key, part in value.items():
            yield from _placeholders(shown.get(key), part)
    elif isinstance(value, tuple) and isinstance(shown, list):
        for parts in zip(shown, value, strict=True):
            yield from _placeholders(*parts)

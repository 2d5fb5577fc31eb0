"""The configuration: one YAML file and the environment become one frozen `Config`, or an error.

    document     values that remember their lines, and the problems found
    file         the YAML file → a document: scalars, aliases, `${ENV}`, limits
    environment  settings from variables, and from the files of secrets
    settings     what the values must look like; each part's own settings stand beside the part
    json_schema  the keys of the settings, and the JSON Schema of the whole file
    accounts_file  the table of who owns which account
    checks       what must fit together across sections
    reload       what a file must still have
    show         a configuration → a file that says all of it
    starter      the file that a new configuration starts from
    explain      errors of pydantic → problems in plain terms, without secrets

All problems are reported at once. No text in here shows a value that came from the environment or
from a secret's file.
"""

import re
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from monitor import notifiers
from monitor.core.errors import MonitorError
from monitor.core.inventory import AccountRule
from monitor.core.mutes import MuteRule
from monitor.core.route import Route
from monitor.files import FileContents
from monitor.notifiers import ReceiverSettings
from monitor.source.token import WHERE_TOKENS_ARE

from .accounts_file import AccountsFile, read_accounts
from .checks import Sections, check
from .document import (
    ConfigError,
    Document,
    Location,
    Problem,
    SensitiveText,
    Table,
    alternatives,
    suggestion,
)
from .environment import CONFIG, TOKEN, absolute, add_environment, read_secret_files
from .explain import report_invalid, report_unknown
from .file import parse, read
from .json_schema import adapter, schema_text
from .reload import check_successor, with_secrets_read_again
from .settings import Config, Findings, PollSettings, WorkspaceSettings
from .show import write
from .starter import Starter, make_starter, write_starter

__all__ = [
    "Config",
    "ConfigError",
    "Problem",
    "Starter",
    "check_successor",
    "load",
    "make_starter",
    "schema_text",
    "show",
    "with_secrets_read_again",
    "write_starter",
]

MAX_ITEMS: Final = {
    "workspaces": 20_000,
    "accounts": 100_000,
    "receivers": 1000,
    "routes": 1000,
    "mutes": 1000,
}
"""How many entries of a list there may be: each workspace and receiver has a worker of its own."""

_LISTS: Final = tuple(MAX_ITEMS)
_NO_PASSWORD: Final = re.compile(r"postgres(ql)?://[^:@]*(@|$)")
_KINDS: Final = {
    "workspaces": WorkspaceSettings,
    "accounts": AccountRule,
    "routes": Route,
    "mutes": MuteRule,
}


def load(path: Path | None, environ: Mapping[str, str]) -> Config:
    """Return the configuration of the file at *path*, or else of the one that *environ* names.

    Without a file *environ* holds all of it. Raise ConfigError with all problems.
    """
    return _load(_path(path, environ), environ)[0]


def show(path: Path | None, environ: Mapping[str, str]) -> str:
    """Return the same configuration as a file that holds all defaults and no secrets."""
    path = _path(path, environ)
    config, document = _load(path, environ)
    written = parse(document.text, None, source=str(path))
    return write(config, document, environ, written.root)


def _path(path: Path | None, environ: Mapping[str, str]) -> Path | None:
    name = environ.get(CONFIG)
    return Path(name) if path is None and name else path


def _load(path: Path | None, environ: Mapping[str, str]) -> tuple[Config, Document]:
    contents = FileContents()
    try:
        document = read(path, environ, contents) if path else Document()
        return _configure(document, path, environ), document
    except ConfigError as error:
        error.contents = contents
        raise


def _configure(document: Document, path: Path | None, environ: Mapping[str, str]) -> Config:
    """Return what *document*, which the file at *path* holds, and *environ* say together."""
    sections = frozenset(key for key, value in document.root.items() if value is not None)
    add_environment(document, environ)
    if document.root.get("workspaces") in (None, []):
        _report_missing(document)
    values = _values(document)
    accounts_file = _accounts_file(document, values)
    checked = {field.name for field in fields(Sections)}
    valid = {key: value for key, value in values.items() if key in checked}
    warnings = [str(problem) for problem in document.odd]
    warnings += check(document, Sections(**valid, rows=accounts_file))
    if document.problems:
        raise ConfigError(document.problems)
    if path and not sections:
        warnings.append(f"{path}: is empty")
    lists = {key: tuple(values.get(key, {}).values()) for key in _LISTS}
    poll = values.get("poll", PollSettings())
    if poll.timezone is None:
        poll = poll.model_copy(update={"timezone": values.get("timezone", "UTC")})
    lists["workspaces"] = _with_poll(lists["workspaces"], poll)
    config = Config.model_validate({**values, **lists})
    if path and document.is_open and _holds_secret(document.root, config):
        document.notes.append(
            f"{path}: holds secrets, and everybody can read it; chmod o-r, or put them into files"
        )
    return config.with_findings(
        Findings(
            warnings=tuple(warnings),
            overridden=document.overridden,
            notes=tuple(document.notes),
            path=path,
            accounts_file=accounts_file,
            contents=document.contents,
            secret_files=_secret_files(document, config),
            sections=sections,
            size=len(document.text),
            is_whole=document.text[-1:] in "\r\n",
        )
    )


def _accounts_file(document: Document, values: dict[str, Any]) -> AccountsFile | None:
    """Read the file that `accounts_file` names, if it does; relative to that of *document*."""
    path = values.get("accounts_file")
    if path is None:
        return None
    values["accounts_file"] = path = absolute(document.folder / path)
    accounts_file = read_accounts(path, document.contents)
    document.problems += accounts_file.problems
    return accounts_file


def _secret_files(document: Document, config: Config) -> Mapping[str, Mapping[str, Path]]:
    """Return the files of secrets of each receiver, by its name and by key."""
    paths: dict[str, dict[str, Path]] = {}
    for location, path in document.secret_files.items():
        section, *rest = location
        if section == "receivers":
            index, key = rest
            paths.setdefault(config.receivers[int(index)].name, {})[str(key)] = path
    return paths


def _holds_secret(value: Any, config: Config) -> bool:
    """Return whether a secret of *config* is written out in the document *value*."""
    secrets = {secret.reveal() for secret in config.secrets()}
    parts = [value]
    while parts:
        part = parts.pop()
        if isinstance(part, Mapping):
            parts += part.values()
        elif isinstance(part, list):
            parts += part
        elif (
            isinstance(part, str)
            and not isinstance(part, SensitiveText)
            and part.strip() in secrets
            and not _NO_PASSWORD.match(part)
        ):
            return True
    return False


def _with_poll(
    workspaces: tuple[WorkspaceSettings, ...], poll: PollSettings
) -> tuple[WorkspaceSettings, ...]:
    """Lay each workspace's own poll settings over those of the section `poll`."""
    merged_workspaces = []
    for workspace in workspaces:
        own = {name: getattr(workspace.poll, name) for name in workspace.poll.model_fields_set}
        if "every" in own and poll.cron is not None:
            own["cron"] = None  # one rhythm replaces the other
        merged = poll.model_copy(update=own) if own else poll
        merged_workspaces.append(workspace.model_copy(update={"poll": merged}))
    return tuple(merged_workspaces)


def _report_missing(document: Document) -> None:
    if document.source:
        message = f"is missing; list one with its token, or set {TOKEN}; {WHERE_TOKENS_ARE}"
        document.report(("workspaces",), message)
    else:
        message = (
            f"nothing is configured: set {TOKEN}, or name a file with --config or {CONFIG};"
            f" {WHERE_TOKENS_ARE}"
        )
        document.problems.append(Problem(None, "", message))


def _values(document: Document) -> dict[str, Any]:
    """Return the valid sections; of lists the valid items by index."""
    values: dict[str, Any] = {}
    sections = tuple(Config.model_fields)
    for key, raw in document.root.items():
        if key not in sections:
            report_unknown(document, (key,), sections)
        elif raw is None:
            continue
        elif key in _LISTS:
            values[key] = _items(document, key, raw)
        else:
            value = _value(document, (key,), raw, Config.model_fields[key].rebuild_annotation())
            if value is not None:
                values[key] = value
    return values


def _items(document: Document, section: str, raw: Any) -> dict[int, Any]:
    if not isinstance(raw, list):
        document.report((section,), "must be a list; start each entry with `- `")
        return {}
    if len(raw) > MAX_ITEMS[section]:
        document.report((section,), f"must have {MAX_ITEMS[section]} or fewer entries")
        return {}
    items = {}
    for index, item in enumerate(raw):
        location = (section, index)
        kind = _KINDS.get(section) or _receiver_kind(document, location, item)
        if kind is not None and (value := _value(document, location, item, kind)) is not None:
            items[index] = value
    return items


def _receiver_kind(
    document: Document, location: Location, item: Any
) -> type[ReceiverSettings] | None:
    """Return the settings of the receiver's type, or report that it is unknown."""
    if not isinstance(item, Table):
        return ReceiverSettings
    word = item.get("type")
    try:
        types = notifiers.notifier_types()
        if word in types:
            return notifiers.settings_type(word)
    except MonitorError as error:
        message = str(error)
    else:
        message = f"is missing; it can be {alternatives(types)}"
        if word is not None:
            hint = suggestion(str(word), types)
            message = f"unknown type{hint} (it can be {alternatives(types)})"
    document.report((*location, "type"), message)
    return None


def _value(document: Document, location: Location, raw: Any, kind: Any) -> Any:
    """Return *raw* as a value of *kind*, or report the problems and return None."""
    if isinstance(raw, Table):
        read_secret_files(document, location, raw, kind)
    try:
        return adapter(kind).validate_python(raw)
    except ValidationError as error:
        report_invalid(error, document, location, kind)
        return None

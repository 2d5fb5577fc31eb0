"""Settings from outside the YAML: environment variables and the files of secrets.

The environment may hold all of a small configuration, or override a few settings of a file.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

from monitor.core.errors import SetupError
from monitor.files import FileContents

from .document import (
    Document,
    Items,
    Location,
    Problem,
    SensitiveText,
    Table,
    defect,
    is_utf8,
    oddity,
)
from .json_schema import declared, path_keys, secret_keys

CONFIG: Final = "LINKEDAPI_MONITOR_CONFIG"
TOKEN: Final = "LINKED_API_TOKEN"  # noqa: S105 - the name of a variable
TOKEN_FILE: Final = "LINKED_API_TOKEN_FILE"  # noqa: S105 - the name of a variable
MAX_BYTES: Final = 64 * 1024

_OVERRIDES: Final = {
    "LINKED_API_BASE_URL": ("linked_api", "base_url"),
    "LINKEDAPI_MONITOR_STORAGE_URL": ("storage", "url"),
    "LINKEDAPI_MONITOR_LISTEN": ("web", "listen"),
    "LINKEDAPI_MONITOR_LOG_LEVEL": ("log", "level"),
    "LINKEDAPI_MONITOR_LOG_FORMAT": ("log", "format"),
}
_DEFAULTS: Final = {
    "LINKEDAPI_MONITOR_DEFAULT_STORAGE_URL": ("storage", "url"),
    "LINKEDAPI_MONITOR_DEFAULT_LISTEN": ("web", "listen"),
}
"""What packages set, such as the container image: whatever people say counts instead."""

VARIABLES: Final = (
    TOKEN,
    TOKEN_FILE,
    "SLACK_WEBHOOK_URL",
    "SMTP_URL",
    "ALERT_EMAIL_TO",
    "ALERT_EMAIL_FROM",
    *_OVERRIDES,
    *_DEFAULTS,
)
_SMTP: Final = {"smtp": ("starttls", 587), "smtps": ("tls", 465)}
_SMTP_FORM: Final = (
    "must be smtp://user:password@host:587 or smtps://user:password@host:465 and no more than that;"
    " write @, /, ?, # and % in the user or the password as %40, %2F, %3F, %23 and %25"
)
_SMTP_URL: Final = re.compile(
    r"""(?P<scheme>smtps?)://
        (?:(?P<username>(?:[^\s%:@/?\#]|%[0-9a-f]{2})*)
           (?::(?P<password>(?:[^\s%@/?\#]|%[0-9a-f]{2})*))?@)?
        (?P<host>\[[0-9a-f:.]+\]|[^\s%:@/?\#\[\]]+) (?::(?P<port>[0-9]{1,5}))? /?
        (?:\?tls=(?P<tls>starttls|tls|none))?""",
    re.VERBOSE | re.IGNORECASE,
)


def add_environment(document: Document, environ: Mapping[str, str]) -> None:
    """Add the settings of *environ* to *document*. An empty variable counts as unset."""
    root = document.root
    environ = _variables(document, environ)
    if root.get("workspaces") is None:
        _add_workspace(document, environ)
    else:
        _note_unused(document, environ, "workspaces", (TOKEN, TOKEN_FILE))
    if root.get("receivers") is None:
        _add_receivers(document, environ)
    else:
        _note_unused(document, environ, "receivers", ("SLACK_WEBHOOK_URL", "SMTP_URL"))
    for variable, (section, key) in _OVERRIDES.items():
        if value := environ.get(variable):
            if document.has(section, key):
                document.overridden[f"{section}.{key}"] = variable
            _set(document, section, key, value, variable)
    for variable, (section, key) in _DEFAULTS.items():
        if (value := environ.get(variable)) and not document.has(section, key):
            _set(document, section, key, value, variable)


def _note_unused(
    document: Document, environ: Mapping[str, str], section: str, names: Iterable[str]
) -> None:
    for name in names:
        if name in environ and name not in document.used:
            document.notes.append(f"{name}: is not used: the file has {section} of its own")


def _set(document: Document, section: str, key: str, value: str, variable: str) -> None:
    """Let *key* of *section* have the *value* of *variable*, unless the section is something odd.

    The table is another one: an alias may stand for the same one elsewhere.
    """
    root = document.root
    if root.get(section) is None:
        root[section] = Table()
    if isinstance(table := root[section], Table):
        root[section] = Table({**table, key: SensitiveText(value)})
        root[section].lines.update(table.lines)
        root[section].pop(f"{key}_file", None)
        document.origins[section, key] = variable


def _variables(document: Document, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables in use that are set, without white space around them."""
    variables = {}
    for name in VARIABLES:
        value = environ.get(name, "").strip()
        if not is_utf8(value):
            document.problems.append(Problem(None, name, "is not UTF-8 text"))
        elif problem := defect(value):
            document.problems.append(Problem(None, name, problem))
        elif value:
            variables[name] = value
            if odd := oddity(value):
                document.odd.append(Problem(None, name, odd))
    return variables


def _add_workspace(document: Document, environ: Mapping[str, str]) -> None:
    token, file = environ.get(TOKEN), environ.get(TOKEN_FILE)
    values: dict[str, Any] = {}
    if token:
        values["token"] = SensitiveText(token)
    if file:
        values["token_file"] = str(absolute(Path(file)))
    if values:
        document.root["workspaces"] = Items([Table(values)])
        document.origins["workspaces", 0] = TOKEN if token else TOKEN_FILE


def _add_receivers(document: Document, environ: Mapping[str, str]) -> None:
    receivers: list[Table] = []
    if url := environ.get("SLACK_WEBHOOK_URL"):
        document.origins["receivers", 0] = "SLACK_WEBHOOK_URL"
        receivers.append(Table({"name": "slack", "type": "slack", "url": SensitiveText(url)}))
    location = ("receivers", len(receivers))
    url, to = environ.get("SMTP_URL"), environ.get("ALERT_EMAIL_TO")
    if url and to and re.search(r"[^,;\s]", to):
        document.origins |= {
            location: "SMTP_URL",
            (*location, "to"): "ALERT_EMAIL_TO",
            (*location, "from"): "ALERT_EMAIL_FROM",
        }
        if email := _email(url, to, environ.get("ALERT_EMAIL_FROM")):
            receivers.append(email)
        else:
            document.report(location, _SMTP_FORM)
    elif url or to:
        present, needed = ("SMTP_URL", "ALERT_EMAIL_TO") if url else ("ALERT_EMAIL_TO", "SMTP_URL")
        document.origins[location] = present
        document.report(location, f"needs {needed} as well")
    if receivers:
        document.root["receivers"] = Items(receivers)


def _email(url: str, to: str, sender: str | None) -> Table | None:
    """Return the receiver that *url* and its mailboxes stand for; None if *url* is no such address.

    What is left of a password with a `/` in it would be taken for the host, and be shown as that:
    there is nothing in *url* but what is meant.
    """
    server = _SMTP_URL.fullmatch(url)
    if server is None:
        return None
    try:
        username, password = (
            unquote(server[part] or "", errors="strict") for part in ("username", "password")
        )
    except UnicodeDecodeError:
        return None
    tls, port = _SMTP[server["scheme"].lower()]
    addresses = [part.strip() for part in re.split(r"[,;]", to) if part.strip()]
    email = Table({"name": "email", "type": "email", "port": int(server["port"] or port)})
    email["host"] = SensitiveText(server["host"].strip("[]"))
    email["tls"] = server["tls"] or tls
    if username:
        email["username"] = SensitiveText(username)
    if password:
        email["password"] = SensitiveText(password)
    email["from"] = SensitiveText(sender or (username if "@" in username else addresses[0]))
    email["to"] = Items(map(SensitiveText, addresses))
    return email


def absolute(path: Path) -> Path:
    """Return *path* from the root on; raise SetupError if nobody can know."""
    try:
        return path.absolute()
    except OSError:
        problem = f"{path}: the folder that this was started in is gone; name files from / on"
        raise SetupError(problem) from None


def read_secret_files(document: Document, location: Location, table: Table, kind: Any) -> None:
    """Put the contents of secret files into *table* and report those that cannot be read.

    A secret `url` may be given as `url_file`, unless *kind* has a key of that name itself. All
    paths are relative to the folder of the configuration file.
    """
    base = document.folder
    for key in path_keys(kind):
        if isinstance(path := table.get(key), str):
            table[key] = type(path)(absolute(base / path))
    for key in secret_keys(kind):
        name = f"{key}_file"
        for optional in (key, name):
            if table.get(optional, "") is None:
                del table[optional]
        if name not in table or name in declared(kind):
            continue
        if key in table:
            document.report((*location, name), f"stands beside {key}; keep one of them")
        else:
            _read_secret(document, location, table, key, base)
        del table[name]


def _read_secret(
    document: Document, location: Location, table: Table, key: str, base: Path
) -> None:
    """Put the content of the file of *key* into *table*."""
    name = f"{key}_file"
    file_location = (*location, name)
    table.lines[key] = table.lines[name]
    try:
        table[key] = _secret_text(document, base, table[name])
        document.secret_files[(*location, key)] = base / table[name]
        if odd := oddity(table[key]):
            document.odd.append(document.problem(file_location, odd))
    except ValueError as error:
        document.report(file_location, str(error))
        table[key] = SensitiveText("unreadable")
    if file_location in document.reported:
        document.reported.add((*location, key))


def _secret_text(document: Document, base: Path, path: Any) -> SensitiveText:
    """Return the text of a file without white space around it; raise ValueError if it has none."""
    if not isinstance(path, str):
        raise ValueError("must be the path of a file")  # noqa: TRY004 - reported like the others
    return read_secret(base / path, document.contents)


def read_secret(path: Path, contents: FileContents) -> SensitiveText:
    """Return the text of the file at *path*; raise ValueError, which says why, if it has none."""
    try:
        content = contents.read(path, MAX_BYTES)
        text = content.decode("utf-8-sig").strip("\r\n")
    except UnicodeDecodeError:
        raise ValueError("the file is not UTF-8 text") from None
    except OSError as error:
        raise ValueError(f"the file cannot be read: {error.strerror}") from None
    if len(content) > MAX_BYTES:
        raise ValueError(f"the file is larger than {MAX_BYTES // 1024} KiB")
    if not text.strip():
        raise ValueError("the file is empty")
    if problem := defect(text):
        raise ValueError(f"the file {problem}")
    return SensitiveText(text)

"""What people do wrong at a terminal: each ends in a line that says what to do."""

import json
import os
import shlex
import socket
import sqlite3
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from harness.answers import api_error

from monitor.cli.commands import COMMANDS

MAX_LINES = 3
BASE = """\
workspaces: [{name: acme, token: linked_test_token}]
linked_api: {base_url: 'http://127.0.0.1:9', timeout: 5s}
storage: {url: 'sqlite:///{folder}/monitor.db'}
web: {listen: '127.0.0.1:{taken}'}
"""
CHAT = "receivers: [{name: chat, type: slack, url: 'http://127.0.0.1:9/x'}]"
MAIL = (
    "receivers: [{name: mail, type: email, host: 127.0.0.1, port: 9, tls: none,"
    " from: a@example.com, to: [b@example.com]}]"
)
NAMED = "LINKEDAPI_MONITOR_CONFIG"
SHOWN = "tokens are shown at https://app.linkedapi.io"


@dataclass(frozen=True)
class Mistake:
    """A *command* and what surrounds it; what is wrong with them, and what a person reads of it.

    `{file}` is the configuration: BASE with something replaced and *more*, or *text* alone.
    """

    name: str
    command: str
    says: str
    code: int = 2
    text: str | bytes | None = None
    replace: tuple[str, str] = ("", "")
    more: str = ""
    environ: dict[str, str] = field(default_factory=dict)


def storage(url):
    return ("sqlite:///{folder}/monitor.db", url)


def listen(address):
    return ("127.0.0.1:{taken}", address)


TOKEN = "LINKED_API_TOKEN"
MISTAKES = [
    # ── the command line ──
    Mistake("command misspelt", "chek", "Did you mean 'check'? See linkedapi-monitor --help"),
    Mistake("command unknown", "frobnicate", "No such command 'frobnicate'; see linkedapi-monitor"),
    Mistake("subcommand misspelt", "config chek", "Did you mean 'check'"),
    Mistake(
        "option misspelt", "check --jsn", "(Possible options: --json); see linkedapi-monitor check"
    ),
    Mistake("option of another command", "run --json", "No such option: --json"),
    Mistake("option without its value", "check -c", "Option '-c' requires an argument"),
    Mistake("file without -c", "run {file}", "Got unexpected extra argument(s)"),
    Mistake("nothing named", "ack -c {file}", "name an account or an incident, or a set", code=5),
    Mistake("name and set", "ack x --cause frozen -c {file}", "name an account or an", code=5),
    Mistake("set of no workspace", "unack --cause frozen -c {file}", "by --workspace and", code=5),
    Mistake(
        "cause unknown", "ack --cause broken", "'broken' is not one of 'reconnection_required'"
    ),
    Mistake("nobody chosen", "reconnect -c {file}", "name an account or an incident", code=5),
    Mistake("nobody named", "forget -c {file}", "Missing argument 'account'"),
    Mistake("nothing chosen", "deliveries retry -c {file}", "name a notification, or", code=5),
    Mistake("duration unreadable", "ack x --for soon", "must be a duration such as 30s"),
    Mistake("duration of nothing", "ack x --for 0s", "must be longer than nothing"),
    Mistake("name too long", f"ack x --by {'y' * 65}", "must be a name of 1 to 64 printable"),
    Mistake("name empty", "ack x --by ''", "must be a name of 1 to 64 printable characters"),
    Mistake("reason too long", f"ack x --reason {'y' * 301}", "must be a line of at most 300"),
    Mistake("argument missing", "workspaces accept -c {file}", "Missing argument 'name'"),
    Mistake("limit of 0", "deliveries --limit 0", "--limit must be greater than or equal to 1"),
    Mistake("limit below 0", "incidents --limit -1", "--limit must be greater than or equal to 1"),
    Mistake("limit no number", "incidents --limit abc", "--limit must be a valid integer"),
    Mistake(
        "limit too big", f"incidents --limit {10**30}", "--limit must be less than or equal to"
    ),
    Mistake("seconds no number", "demo --seconds soon", "--seconds must be a valid integer"),
    Mistake("cause misspelt", "routes test --cause froz", "'froz' is not one of"),
    Mistake("label alone", "routes test --cause frozen --labels x -c {file}", "team=growth"),
    Mistake("version of something", "version 2", "Got unexpected extra argument(s) (2)"),
    # ── the file ──
    Mistake(
        "no such file", "check -c {folder}/none.yaml", "No such file or directory; name one with"
    ),
    Mistake(
        "-c twice, the second wrong", "check -c {file} -c {folder}/none.yaml", "none.yaml: cannot"
    ),
    Mistake("a folder", "config check -c {folder}", "Is a directory; name one with --config"),
    Mistake("variable names no file", "incidents", f"or {NAMED}", environ={NAMED: "/none.yaml"}),
    Mistake(
        "file empty", "check -c {file}", "workspaces: is missing; list one with its token", text=""
    ),
    Mistake("file binary", "check -c {file}", "is not UTF-8 text", text=b"\x00\xff\xfe\x80PNG"),
    Mistake(
        "tabs in YAML", "check -c {file}", "indent with spaces", text="workspaces:\n\t- name: x"
    ),
    Mistake(
        "list in place of keys", "check -c {file}", "must hold keys and values", text="- a\n- b"
    ),
    Mistake(
        "unknown key",
        "config check -c {file}",
        "5: pol: unknown key; did you mean poll?",
        more="pol: {}",
    ),
    Mistake(
        "variable unset",
        "config show -c {file}",
        "variable NOPE is not set",
        more="timezone: ${NOPE}",
    ),
    Mistake(
        "crontab",
        "config check -c {file}",
        "must be five fields such as",
        more="poll: {cron: '61 * * * *'}",
    ),
    Mistake(
        "duration",
        "config check -c {file}",
        "a duration such as 30s, 5m",
        more="poll: {every: 5 minutes}",
    ),
    Mistake(
        "receiver of no type",
        "config check -c {file}",
        "did you mean slack?",
        more=CHAT.replace("slack", "slak"),
    ),
    Mistake(
        "mute for nobody",
        "config check -c {file}",
        "mutes[0].to[0]: no receiver is called 'ops'",
        more=f"{CHAT}\nmutes: [{{to: [ops], until: forever}}]",
    ),
    Mistake(
        "mute without end",
        "config check -c {file}",
        "mutes[0]: needs an end: until, or cron with for",
        more=f"{CHAT}\nmutes: [{{match: {{cause: frozen}}}}]",
    ),
    Mistake(
        "mute by a wrong crontab",
        "config check -c {file}",
        "mutes[0].cron: must be five fields",
        more=f"{CHAT}\nmutes: [{{cron: '61 * * * *', for: 1h}}]",
    ),
    Mistake("no span", "mute add -c {file}", "say how long: one of --until, --for and", code=5),
    Mistake(
        "step to nobody",
        "config check -c {file}",
        "routes[0].escalate[0].to[0]: no receiver is called 'ops'",
        more=f"{CHAT}\nroutes: [{{to: [chat], escalate: [{{after: 1h, to: [ops]}}]}}]",
    ),
    Mistake(
        "route to nobody",
        "config check -c {file}",
        "no receiver is called 'ops'",
        more="routes: [{to: [ops]}]",
    ),
    Mistake(
        "level",
        "check",
        "LOG_LEVEL: must be debug, info, warning or error",
        environ={"LINKEDAPI_MONITOR_LOG_LEVEL": "LOUD"},
    ),
    Mistake(
        "format",
        "check",
        "LOG_FORMAT: must be json or console",
        environ={"LINKEDAPI_MONITOR_LOG_FORMAT": "xml"},
    ),
    # ── the token, and where it goes ──
    Mistake(
        "nothing configured",
        "run",
        f"set {TOKEN}, or name a file with --config or {NAMED}; {SHOWN}",
    ),
    Mistake("token empty", "check", f"nothing is configured: set {TOKEN}", environ={TOKEN: ""}),
    Mistake(
        "token a placeholder", "check", f"is only a placeholder; {SHOWN}", environ={TOKEN: "…"}
    ),
    Mistake("token of two lines", "check", "holds a line break", environ={TOKEN: "linked_ab\ncd"}),
    Mistake(
        "token with a space",
        "check",
        f"holds spaces, control or non-ASCII characters; {SHOWN}",
        environ={TOKEN: "linked ab"},
    ),
    Mistake(
        "token missing",
        "check -c {file}",
        "needs a token or a token_file",
        text="workspaces: [{name: a}]",
    ),
    Mistake(
        "token file missing",
        "check -c {file}",
        "/none cannot be read: No such file",
        text="workspaces: [{token_file: /none}]",
    ),
    Mistake(
        "base_url without https",
        "check",
        "LINKED_API_BASE_URL: must start with https://",
        environ={TOKEN: "linked_ab", "LINKED_API_BASE_URL": "api.linkedapi.io"},
    ),
    Mistake(
        "base_url where nobody listens",
        "check -c {file}",
        "the connection was refused; nothing may listen",
        code=7,
    ),
    # ── the network ──
    Mistake(
        "port taken",
        "run -c {file}",
        "another program listens there; stop it or choose another port",
        code=1,
    ),
    Mistake("port taken, demo", "demo --port {taken}", "another program listens there", code=1),
    Mistake(
        "port taken, simulate",
        "simulate --port {taken}",
        "another program listens there; choose another --host or --port",
        code=1,
    ),
    Mistake(
        "port out of range", "simulate --port 70000", "--port must be less than or equal to 65535"
    ),
    Mistake(
        "port out of range, demo", "demo --port 70000", "--port must be less than or equal to 65535"
    ),
    Mistake(
        "address of another machine",
        "run -c {file}",
        "this machine has no such address",
        code=1,
        replace=listen("203.0.113.7:9464"),
    ),
    Mistake(
        "address of another machine, simulate",
        "simulate --host 203.0.113.7",
        "this machine has no such address",
        code=1,
    ),
    Mistake(
        "listen out of range",
        "run -c {file}",
        "web.listen: must be HOST:PORT, such as",
        replace=listen("127.0.0.1:94640"),
    ),
    Mistake(
        "listen without host",
        "run -c {file}",
        "web.listen: must be HOST:PORT, such as",
        replace=listen("9464"),
    ),
    Mistake(
        "simulated token empty",
        "simulate --port 0 --token ''",
        "--token: must have some characters",
    ),
    Mistake(
        "nothing runs", "healthcheck --listen 127.0.0.1:9", "is the monitor running there?", code=1
    ),
    Mistake(
        "nothing runs, file wrong", "healthcheck -c {file}", "did you mean poll?", more="pol: {}\n"
    ),
    Mistake(
        "nothing runs or is configured",
        "healthcheck",
        "give --listen HOST:PORT, or: nothing is configured",
    ),
    Mistake(
        "listen no address", "healthcheck --listen here", "--listen must be HOST:PORT, such as"
    ),
    # ── receivers ──
    Mistake(
        "receiver unknown",
        "receivers test caht -c {file}",
        "there is no receiver 'caht'; configured: chat",
        code=5,
        more=CHAT,
    ),
    Mistake(
        "webhook refuses",
        "receivers test -c {file}",
        "the connection was refused; nothing may listen",
        code=1,
        more=CHAT,
    ),
    Mistake(
        "mail server refuses",
        "receivers test -c {file}",
        "the connection was refused; nothing may listen",
        code=1,
        more=MAIL,
    ),
    # ── the database ──
    Mistake("no database yet", "accounts -c {file}", "there is no database", code=1),
    Mistake(
        "no database to copy", "backup {folder}/copy.db -c {file}", "there is no database", code=1
    ),
    Mistake(
        "no database to move",
        "store copy sqlite:///{folder}/none.db sqlite:///{folder}/new.db",
        "there is no database {folder}/none.db",
        code=1,
    ),
    Mistake(
        "a backup into no folder that can be",
        f"backup {{folder}}/{'x' * 300}/copy.db -c {{file}}",
        "/copy.db was made: File name too long",
        code=1,
    ),
    Mistake(
        "a configuration that can't be looked at",
        f"store copy {'x' * 300}/config.yaml sqlite:///{{folder}}/new.db",
        "cannot be read: File name too long; name one with --config",
    ),
    Mistake(
        "a database onto itself",
        "store copy {file} sqlite:///{folder}/monitor.db",
        "FROM and TO are the same database",
    ),
    Mistake(
        "folder missing",
        "run -c {file}",
        "name a writable file in storage.url",
        code=1,
        replace=storage("sqlite:////proc/no/monitor.db"),
    ),
    Mistake(
        "a folder as database",
        "accounts -c {file}",
        "Is a directory; name a writable file in storage.url",
        code=1,
        replace=storage("sqlite:///{folder}"),
    ),
    Mistake(
        "no database at all",
        "accounts -c {file}",
        "put a backup in its place",
        code=1,
        replace=storage("sqlite:///{folder}/text.db"),
    ),
    Mistake(
        "another program's tables",
        "run -c {file}",
        "it is another program's; give the monitor a file of its own",
        code=1,
        replace=storage("sqlite:///{folder}/other.db"),
    ),
    Mistake(
        "database of another kind",
        "workspaces -c {file}",
        "storage.url: must be sqlite:/// followed by the path of a file, or",
        replace=storage("mysql://x/y"),
    ),
    Mistake(
        "path in place of an address",
        "workspaces -c {file}",
        "storage.url: must be sqlite:///",
        replace=storage("{folder}/monitor.db"),
    ),
    Mistake(
        "PostgreSQL refuses",
        "accounts -c {file}",
        "is the server running, and does it listen there?",
        code=1,
        replace=storage("postgresql://u:pw@127.0.0.1:9/db"),
    ),
    Mistake(
        "PostgreSQL nowhere",
        "accounts -c {file}",
        "check the host in storage.url",
        code=1,
        replace=storage("postgresql://u:pw@none.invalid/db"),
    ),
]


@pytest.fixture
def surroundings(tmp_path, monkeypatch):
    """A folder with databases that are none, and a port that is taken; no variable counts."""
    for name in os.environ:
        if name.startswith(("LINKED", "SLACK", "SMTP", "ALERT")):
            monkeypatch.delenv(name)
    (tmp_path / "text.db").write_text("no database\n" * 100)
    (tmp_path / "text.db").chmod(0o600)
    other = sqlite3.connect(tmp_path / "other.db")
    other.execute("CREATE TABLE account (x)")
    other.close()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield {"folder": str(tmp_path), "taken": str(listener.getsockname()[1])}


def fill(text, values):
    for name, value in values.items():
        text = text.replace(f"{{{name}}}", value)
    return text


def read(ran):
    """What a person reads who made a mistake: a few lines, and no trace of the program's inside."""
    assert len(ran.err.splitlines()) <= MAX_LINES
    for word in ("Traceback", "ExceptionGroup", "please report this", "linked_test_token"):
        assert word not in ran.err + ran.out
    return ran.err + ran.out


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.name)
def test_a_mistake_is_a_line_that_says_what_to_do(run, surroundings, monkeypatch, mistake):
    for name, value in mistake.environ.items():
        monkeypatch.setenv(name, value)
    text = mistake.text
    if text is None:
        text = BASE.replace(*mistake.replace) + mistake.more
    content = text if isinstance(text, bytes) else fill(text, surroundings).encode()
    file = Path(surroundings["folder"], "config.yaml")
    file.write_bytes(content)

    ran = run(*(fill(w, {**surroundings, "file": str(file)}) for w in shlex.split(mistake.command)))

    assert fill(mistake.says, surroundings) in read(ran)
    assert ran.code == mistake.code


def test_the_mistakes_are_made_with_every_command():
    assert {mistake.command.split()[0] for mistake in MISTAKES} >= COMMANDS.keys()
    assert len({mistake.name for mistake in MISTAKES}) == len(MISTAKES) >= 40


def test_a_rejected_token_says_where_to_find_the_right_one(run, api, simulator, configured):
    simulator.faults.add(api_error("invalidLinkedApiToken", status=401))

    ran = run("check", "-c", configured(api))

    assert SHOWN in read(ran)
    assert ran.code == 2


@pytest.fixture
def nobody():
    """Be a user who may read nobody's files but their own."""
    user = os.geteuid()
    os.seteuid(user or 65_534)
    yield
    os.seteuid(user)


def test_a_file_that_may_not_be_read_is_a_line(run, configured, request):
    file = configured()
    Path(file).chmod(0)
    request.getfixturevalue("nobody")

    ran = run("check", "-c", file)

    assert "Permission denied; name one with --config" in read(ran)
    assert ran.code == 2


def test_without_the_driver_of_postgresql_a_line_says_what_brings_it(run, configured, monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    monkeypatch.setenv("LINKEDAPI_MONITOR_STORAGE_URL", "postgresql://127.0.0.1:9/db")

    ran = run("accounts", "-c", configured())

    assert "needs the driver psycopg, which deploy/install brings" in read(ran)
    assert ran.code == 1


def test_a_demo_without_a_place_for_its_files_says_which_variable_names_one(run, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", "/proc")

    ran = run("demo", "--port", "0")

    assert "name one that can be written to in TMPDIR" in read(ran)
    assert ran.code == 1


@pytest.mark.usefixtures("recorded")
def test_what_is_odd_about_a_database_is_not_said_among_what_is_printed(run, configured, tmp_path):
    (tmp_path / "monitor.db").chmod(0o644)

    ran = run("accounts", "-c", configured())

    assert len(ran.data) == 3
    warnings = [json.loads(line) for line in ran.err.splitlines()]
    assert (str(tmp_path / "monitor.db"), "0644") in [
        (warning["file"], warning["mode"])
        for warning in warnings
        if warning["event"].startswith("others could read a file of the database")
    ]

"""Starts the program in random surroundings: each must end in a clear line and the right exit code.

    python tests/fuzz/surroundings.py COUNT [SEED]

A start is a fork of this process, which has loaded the program already; one in REAL_EVERY is a
process of its own. Prints a line of JSON for each that went wrong, with its seed.
"""

import codecs
import contextlib
import importlib
import json
import os
import random
import resource
import select
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
REAL_EVERY = 40
MAX_WAIT = 120
"""Seconds within which a start has said that it started, or has ended."""

ODD = [
    "",
    " ",
    "x",
    "\n",
    "/nonexistent",
    "relative/folder",
    "/proc",
    "/dev/null",
    "é",
    "\udcff",
    "%s",
    "a" * 5000,
]
PROXIES = [
    "http://127.0.0.1:9",
    "127.0.0.1:9",
    "socks5://127.0.0.1:1080",
    "socks5h://x",
    "http://proxy:notaport",
    "http://",
    "http://[::1",
    "http://me:p%40ss@127.0.0.1:9",
    "ftp://127.0.0.1",
    "http://127.0.0.1:99999",
    *ODD,
]
EXEMPT = [
    "*",
    "localhost,fd00::/8",
    "localhost,[::1]",
    "::1",
    "[::1]:80",
    ".example.com, 10.0.0.0/8",
    "[",
    ",,,",
    *ODD,
]
LOCALES = ["C", "POSIX", "C.UTF-8", "de_DE.ISO-8859-1", "tr_TR.UTF-8", "ja_JP.eucJP", "xx_YY", *ODD]
VARIABLES = {
    **dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), PROXIES),
    **dict.fromkeys(("http_proxy", "https_proxy", "all_proxy"), PROXIES),
    **dict.fromkeys(("NO_PROXY", "no_proxy"), EXEMPT),
    **dict.fromkeys(("LC_ALL", "LANG", "LC_CTYPE", "LANGUAGE"), LOCALES),
    **dict.fromkeys(("HOME", "XDG_DATA_HOME", "TMPDIR", "LOGNAME", "USER"), ODD),
    **dict.fromkeys(("SSL_CERT_FILE", "SSL_CERT_DIR", "RUNTIME_DIRECTORY", "SSLKEYLOGFILE"), ODD),
    "PATH": ["", ":", "/nonexistent", "."],
    "TZ": ["UTC", "Europe/Berlin", "Mars/Olympus", ":", ":/etc/passwd", "<+99>99", *ODD],
    "NOTIFY_SOCKET": ["@", "@x", "/nonexistent/socket", "vsock:2:1", *ODD],
    "COLUMNS": ["0", "-1", "999999999", "x"],
    "TERM": ["dumb", "", "unknown"],
    "NO_COLOR": ["1", ""],
    "FORCE_COLOR": ["1"],
    "PYTHONWARNINGS": ["error", "nonsense"],
    "PYTHONUTF8": ["0", "1"],
    "PYTHONCOERCECLOCALE": ["0"],
    "PYTHONIOENCODING": ["ascii", "latin-1", "utf-8:strict"],
    "PGSSLMODE": ["require", "x"],
    "LINKEDAPI_MONITOR_LOG_LEVEL": ["debug", "info", "loud"],
    "LINKEDAPI_MONITOR_DEFAULT_STORAGE_URL": ["sqlite:////nonexistent/x.db", "sqlite:///", "x"],
}
LIMITS = {
    "RLIMIT_NOFILE": [3, 8, 16, 24, 40, 63, 64, 100],
    "RLIMIT_FSIZE": [0, 1000, 100_000],
    "RLIMIT_AS": [1, 4, 16, 64, 256],
    "RLIMIT_STACK": [256 * 1024, 1024 * 1024],
    "RLIMIT_MEMLOCK": [0],
}
RECEIVERS = [
    "",
    "receivers: [{name: s, type: slack, url: 'https://hooks.slack.com/services/x'}]\n",
    "receivers: [{name: w, type: slack, url: 'http://127.0.0.1:9/x'}]\n",
    "receivers: [{name: m, type: email, host: h, from: a@example.com, to: [b@example.com]}]\n",
]
NOTIFIERS = ["slack", "email", "webhook"]
COMMANDS = [["run"], ["check"], ["config", "check"]]


@dataclass
class Surroundings:
    """What a process finds around it."""

    command: list
    env: dict
    text: str
    closed: list = field(default_factory=list)
    limits: dict = field(default_factory=dict)
    umask: int = 0o022
    has_folder: bool = True
    is_real: bool = False


def draw(seed):
    """Make up the surroundings that belong to *seed*."""
    rng = random.Random(seed)
    env = {"PATH": os.environ.get("PATH", ""), "HOME": "HOME"}
    for name in rng.sample(sorted(VARIABLES), rng.choice([0, 1, 1, 2, 3, 6])):
        env[name] = rng.choice(VARIABLES[name]).replace("\0", "")
    for name in ("HOME", "PATH"):
        if rng.random() < 0.1:
            env.pop(name, None)
    api = rng.choice(["http://127.0.0.1:9", "http://127.0.0.1:9", "http://[::1]:9"])
    storage = rng.choice(["storage: {url: 'sqlite:///FOLDER/monitor.db'}\n"] * 3 + [""])
    text = (
        "workspaces: [{name: a, token: linked_x}]\n"
        f"linked_api: {{base_url: '{api}', timeout: 5s}}\n"
        f"web: {{listen: '127.0.0.1:0'}}\n{storage}{rng.choice(RECEIVERS)}"
    )
    drawn = Surroundings(rng.choice(COMMANDS), env, text)
    drawn.closed = [number for number in range(3) if rng.random() < 0.12]
    for name, values in LIMITS.items():
        if rng.random() < 0.1:
            drawn.limits[name] = rng.choice(values)
    drawn.umask = rng.choice([0o022, 0o077, 0, 0o777, 0o177])
    drawn.has_folder = rng.random() > 0.05
    drawn.is_real = seed % REAL_EVERY == 0
    return drawn


def enter(drawn, folder):
    """Let this process, the new one, have the surroundings."""
    gone = folder / "gone"
    gone.mkdir(exist_ok=True)
    os.chdir(gone)
    if drawn.has_folder:
        os.chdir(folder)
    gone.rmdir()
    os.umask(drawn.umask)
    for number in drawn.closed:
        os.close(number)
    used = resource.getpagesize() * int(Path("/proc/self/statm").read_text().split()[0])
    for name, value in drawn.limits.items():
        soft = value
        if name == "RLIMIT_AS":
            soft = (180_000_000 if drawn.is_real else used) + value * 1_000_000
        resource.setrlimit(getattr(resource, name), (soft, soft))


def fork(drawn, folder, ends):
    """Start a copy of this process as the program; return its id."""
    process = os.fork()
    if process:
        return process
    for stream, end in enumerate(ends):
        os.dup2(end, stream)
    os.closerange(3, 64)
    os.environ.clear()
    os.environ.update(drawn.env)
    enter(drawn, folder)
    encoding = {"C": "ascii", "POSIX": "ascii", "de_DE.ISO-8859-1": "latin-1"}.get(
        drawn.env.get("LC_ALL"), "utf-8"
    )
    streams = [
        None
        if number in drawn.closed
        else open(number, "rw"[number > 0], encoding=encoding, closefd=False)  # noqa: SIM115
        for number in range(3)
    ]  # as Python makes them
    sys.stdin, sys.stdout, sys.stderr = streams
    sys.argv = ["linkedapi-monitor", *drawn.command, "-c", str(folder / "config.yaml")]
    code = 0
    try:
        monitor_main()
    except SystemExit as ended:
        code = ended.code or 0
    except BaseException:  # noqa: BLE001 - it is what is looked for
        traceback.print_exc()
        code = 1
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, OSError):
            stream.flush()
    os._exit(code)  # what the first process began is not for this one to end


def spawn(drawn, folder, ends):
    """Start a process of its own; return its id."""
    command = [sys.executable, "-m", "monitor", *drawn.command, "-c", str(folder / "config.yaml")]
    env = {**drawn.env, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        command,
        stdin=ends[0],
        stdout=ends[1],
        stderr=ends[2],
        env=env,
        preexec_fn=lambda: enter(drawn, folder),  # noqa: PLW1509
    ).pid


def start(drawn):
    """Run the program as *drawn*; return its exit code (None: it hung) and output."""
    with tempfile.TemporaryDirectory(prefix="surroundings-", dir="/tmp") as name:
        folder = Path(name)
        (folder / "config.yaml").write_text(drawn.text.replace("FOLDER", name))
        if drawn.env.get("HOME") == "HOME":
            drawn.env["HOME"] = name
        reading, writing = os.pipe()
        nothing = os.open(os.devnull, os.O_RDONLY)
        process = (spawn if drawn.is_real else fork)(drawn, folder, (nothing, writing, writing))
        os.close(writing)
        os.close(nothing)
        try:
            return follow(
                process, reading, is_silent=drawn.command == ["run"] and {1, 2} <= set(drawn.closed)
            )
        finally:
            os.close(reading)


def follow(process, reading, *, is_silent):
    """Read what *process* says, stop it once it has started, and wait for its end."""
    output, deadline, is_stopped = b"", time.monotonic() + MAX_WAIT, False
    while time.monotonic() < deadline:
        if select.select([reading], [], [], 0.05)[0]:
            output += os.read(reading, 65536)
        ended, status = os.waitpid(process, os.WNOHANG)
        if ended:
            while chunk := os.read(reading, 65536):
                output += chunk
            return os.waitstatus_to_exitcode(status), output.decode("utf-8", "replace")
        has_started = b'"event": "started"' in output or b"app: started" in output
        if not is_stopped and (
            has_started or (is_silent and time.monotonic() > deadline - MAX_WAIT + 10)
        ):
            os.kill(process, signal.SIGTERM)
            is_stopped = True
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    return None, output.decode("utf-8", "replace")


NOISE = (
    "Traceback",
    "Exception ignored",
    "Warning:",
    "was never awaited",
    "Fatal Python error",
    "unexpected",
)
CODES = {"run": {0, 1, 2}, "check": {1, 2, 7}, "config": {0, 1, 2}}


def problems(drawn, code, output):
    """Return what is wrong with how a start ended."""
    if code is None:
        return ["hangs"]
    wrong = [f"says {noise}" for noise in NOISE if noise in output]
    is_odd_python = drawn.is_real and (
        "Fatal Python error" in output or "init_import_site" in output
    )
    if is_odd_python and drawn.limits:
        return []  # Python itself can't start
    is_silent = {1, 2} <= set(drawn.closed)
    if is_silent and code == -signal.SIGTERM:
        return []  # it was not heard whether it had started
    if code not in CODES[drawn.command[0]]:
        wrong.append(f"exit code {code}")
    if not output.strip() and not is_silent:
        wrong.append("says nothing")
    types = {
        line["error"]
        for line in map(parse, output.splitlines())
        if "error" in line and "message" in line
    }
    types -= {"warning"}
    if "config" in types and code != 2:
        wrong.append(f"a configuration that is wrong is exit code {code}")
    if code == 2 and output.strip() and "config" not in types:
        wrong.append("exit code 2 without an error of the configuration")
    if code == 0 and types:
        wrong.append("an error and exit code 0")
    return wrong


def parse(line):
    """Return a line of JSON as a dictionary, and any other as an empty one."""
    with contextlib.suppress(ValueError):
        parsed = json.loads(line)
        if isinstance(parsed, dict):
            return parsed
    return {}


def main():
    count = int(sys.argv[1])
    first = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    for seed in range(first, first + count):
        drawn = draw(seed)
        code, output = start(drawn)
        wrong = problems(drawn, code, output)
        if drawn.command == ["run"] and code == 2 and not wrong:
            drawn = draw(seed)
            drawn.command = ["config", "check"]
            code, output = start(drawn)
            if code != 2 and "RLIMIT_AS" not in drawn.limits:
                wrong = ["config check is content with what ends a start"]
        if wrong:
            shown = {
                "seed": seed,
                "wrong": wrong,
                "code": code,
                "output": output[-1500:],
                **vars(drawn),
            }
            sys.stdout.write(json.dumps(shown) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    names = ("commands", *{name for name, *_ in COMMANDS}, "table")
    for name in (*map("cli.{}".format, names), *map("notifiers.{}".format, NOTIFIERS)):
        importlib.import_module(f"monitor.{name}")
    for encoding in ("ascii", "latin-1"):
        codecs.lookup(encoding)
    monitor_main = importlib.import_module("monitor.__main__").main
    main()

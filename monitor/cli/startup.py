"""The start of the process, before anything else is loaded: nothing around it is taken for granted.

Whatever the surroundings are (streams that are closed, limits, masks, variables), a start ends in a
line that says why and in an exit code, never in a traceback and never in silence.
"""

import ctypes
import errno
import gc
import json
import os
import resource
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, NoReturn

MAX_FILES: Final = 65_536
"""So many files may be open at once, if the system lets us: connections are files, too."""

_PR_SET_DUMPABLE: Final = 4

_ADVICE: Final = {
    errno.EMFILE: "raise the limit on open files (ulimit -n, LimitNOFILE=)",
    errno.ENFILE: "too many files are open on this machine",
    errno.ENOMEM: "raise the limit on memory (ulimit -v, MemoryMax=)",
    errno.ENOSPC: "make room where its output goes",
    errno.EFBIG: "raise the limit on the size of files (ulimit -f, LimitFSIZE=)",
    errno.EAGAIN: "raise the limit on processes and threads (ulimit -u, TasksMax=)",
}


def prepare() -> None:
    """Make the surroundings what the rest of the program takes for granted."""
    _open_streams()
    os.umask(0o077)  # what we make is ours alone, and we can open it again
    os.environ["TZ"] = "UTC"  # no local time is ever shown, and an odd zone harms libraries
    time.tzset()
    os.environ.pop("SSLKEYLOGFILE", None)  # whoever has the keys of our connections has our secrets
    # The list is typed as one that nobody may change; no warning of a library is to end a start.
    warnings.filters[:] = [entry for entry in warnings.filters if entry[0] != "error"]  # type: ignore[index]
    _leave_no_dumps()
    gc.disable()  # what a short command loads is no garbage; an event loop has some, and enables it
    with suppress(OSError, ValueError):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = MAX_FILES if hard == resource.RLIM_INFINITY else min(MAX_FILES, hard)
        if soft != resource.RLIM_INFINITY and soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _open_streams() -> None:
    """Put something in the place of streams that are closed.

    Else the first files that are opened, such as the database, would be taken for them. What is to
    be said to standard error goes to standard output then.
    """
    closed = [number for number in range(3) if not _is_open(number)]
    for _ in closed:  # in order: each takes the lowest number that is free
        with suppress(OSError):
            os.open(os.devnull, os.O_RDWR)
    if 2 in closed and 1 not in closed:
        with suppress(OSError):
            os.dup2(1, 2)
    with suppress(OSError, ValueError):
        sys.stdin = sys.stdin or open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - a stream
        sys.stdout = sys.stdout or open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - likewise
        sys.stderr = sys.stderr or open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - likewise
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, OSError, ValueError):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # whatever the locale
    if 1 in closed and 2 not in closed:
        say("warning", "standard output is closed: what would be there is lost")


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def _leave_no_dumps() -> None:
    """Let no dump of our memory, which holds tokens, be written by anybody."""
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(Exception):  # programs that take dumps by a pipe do not heed the limit
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


@contextmanager
def without(*packages: str) -> Iterator[None]:
    """Let no library that is loaded now load *packages*: what it needs them for is not used."""
    absent = [package for package in packages if package not in sys.modules]
    sys.modules.update(dict.fromkeys(absent))  # type: ignore[arg-type]  # as if not installed
    try:
        yield
    finally:
        for package in absent:
            del sys.modules[package]


def guard(command: Callable[[], None]) -> None:
    """Run *command*; whatever it did not expect ends the process with one line."""
    try:
        command()
        _flush()
    except SystemExit:
        _flush()
        raise
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # nobody reads on, so nobody is to be told
        _discard_output()
        sys.exit(1)
    except BaseException as error:  # noqa: BLE001 - there is nobody else to say it
        _end(error)
    finally:
        gc.freeze()  # what is left ends with the process: looking through it takes a while


def _flush() -> None:
    """Write what is left for standard output: nobody would say at the exit that it failed."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _discard_output()
    except (OSError, ValueError) as error:
        _end(error)


def _end(error: BaseException) -> NoReturn:
    warnings.simplefilter("ignore")  # what was begun is left behind
    _discard_output()
    say("error", explain(error))
    sys.exit(1)


def _discard_output() -> None:
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def explain(error: BaseException) -> str:
    """Return what *error* means, with what to do; no text of it, which may hold a secret."""
    if isinstance(error, MemoryError):
        return f"there is not enough memory; {_ADVICE[errno.ENOMEM]}"
    if isinstance(error, RuntimeError) and "start new thread" in str(error):
        return f"no thread can be started; {_ADVICE[errno.EAGAIN]}"
    if isinstance(error, ImportError):
        reason = "memory or the files of the installation may be missing"
        return f"the program can't be loaded ({error.name or 'a library'}): {reason}"
    if isinstance(error, OSError) and error.errno:
        advice = _ADVICE.get(error.errno)
        return os.strerror(error.errno) + (f"; {advice}" if advice else f" ({_place(error)})")
    return f"unexpected {type(error).__name__} ({_place(error)}); please report this"


def _place(error: BaseException) -> str:
    """Return where in our own code *error* was met."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "monitor" in Path(frame.filename).parts[:-1]]
    places = [f"{Path(frame.filename).name}:{frame.lineno}" for frame in ours or frames]
    return places[-1] if places else "outside of the program"


def say(type_: str, message: str) -> None:
    """Write one line to standard error: plain on a terminal, else JSON as all commands do."""
    text = json.dumps({"error": type_, "message": message})
    with suppress(OSError):
        if os.isatty(2):
            text = f"{type_}: {message}"
    with suppress(OSError):
        os.write(2, f"{text}\n".encode())

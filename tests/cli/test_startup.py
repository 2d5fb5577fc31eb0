"""The start of a process, whatever is around it; tests/fuzz/surroundings.py tries it as a whole."""

import json
import os
import resource
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from monitor.cli.startup import explain


@pytest.fixture
def start(tmp_path):
    """Run a script under the guard in a process of its own; return its exit code and output."""

    def start(script, *, closed=(), limits=None, stdout=subprocess.PIPE):
        def enter():
            os.umask(0)
            for number in closed:
                os.close(number)
            for name, limit in (limits or {}).items():
                resource.setrlimit(getattr(resource, name), (limit, limit))

        whole = f"""
import os, sys
from monitor.cli import startup
def command():
    {script}
startup.prepare()
startup.guard(command)
"""
        ended = subprocess.run(
            [sys.executable, "-c", whole],
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.PIPE,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
            preexec_fn=enter,
            timeout=60,
            check=False,
        )
        return ended.returncode, (ended.stdout or b"").decode(), ended.stderr.decode()

    return start


def message(text):
    """What the one line says that *text* is."""
    (line,) = text.splitlines()
    return json.loads(line)["message"]


def test_without_standard_error_errors_go_to_standard_output(start):
    code, out, _ = start("print('it fails', file=sys.stderr); sys.exit(2)", closed=[0, 2])

    assert (code, out) == (2, "it fails\n")


def test_without_standard_output_somebody_hears_of_it(start):
    code, _, err = start("print('ok')", closed=[1])

    assert code == 0
    assert message(err).startswith("standard output is closed")


def test_without_any_stream_the_exit_code_says_it_all_and_no_file_takes_their_places(start):
    assert start("sys.exit(os.open('file', os.O_CREAT))", closed=[0, 1, 2])[0] == 3


def test_a_full_disk_for_the_output_is_one_line(start):
    with Path("/dev/full").open("wb") as full:
        code, _, err = start("print('ok')", stdout=full)

    assert code == 1
    assert message(err).startswith("No space left on device")


def test_a_reader_who_has_gone_is_none(start):
    ours, theirs = os.pipe()
    os.close(ours)
    try:
        assert start("print('ok')", stdout=theirs)[2] == ""
    finally:
        os.close(theirs)


def test_an_interrupt_at_the_start_is_no_error(start):
    assert start("import signal; os.kill(os.getpid(), signal.SIGINT)") == (130, "", "")


def test_any_character_can_be_written_whatever_the_locale(start, monkeypatch):
    for name, value in {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}.items():
        monkeypatch.setenv(name, value)

    assert start("print('a\\u2026b')")[:2] == (0, "a\\u2026b\n")


def test_what_nobody_expected_is_one_line_and_exit_1(start):
    code, _, err = start("{}['hunter2']")

    assert code == 1
    assert "unexpected KeyError" in message(err)
    assert "hunter2" not in err


def test_warnings_stay_warnings(start, monkeypatch):
    monkeypatch.setenv("PYTHONWARNINGS", "error")

    assert start("import warnings; warnings.warn('old', DeprecationWarning)")[0] == 0


def test_too_little_memory_is_one_line(start):
    code, _, err = start("bytearray(10**10)", limits={"RLIMIT_AS": 2**30})

    assert code == 1
    assert message(err).startswith("there is not enough memory")


def test_as_many_files_may_be_open_as_the_system_lets_us(start):
    script = "import resource; print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])"
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]

    out = start(
        f"import resource; resource.setrlimit(7, (64, {hard})); startup.prepare(); {script}"
    )

    assert int(out[1]) == (65536 if hard == resource.RLIM_INFINITY else min(hard, 65536))


def test_files_are_for_nobody_else_and_memory_is_in_no_dump(start, tmp_path):
    out = start(
        "import resource, ctypes; open('made', 'w').close();"
        "print(resource.getrlimit(resource.RLIMIT_CORE), ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))"
    )[1]

    assert out == "(0, 0) 0\n"
    assert stat.S_IMODE((tmp_path / "made").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (MemoryError(), "not enough memory"),
        (RuntimeError("can't start new thread"), "no thread can be started"),
        (ImportError("no", name="lib"), "can't be loaded (lib)"),
        (OSError(24, "x"), "raise the limit on open files"),
        (PermissionError(1, "x"), "Operation not permitted (outside of the program)"),
    ],
)
def test_what_limits_do_is_said_with_what_to_do(error, words):
    assert words in explain(error)

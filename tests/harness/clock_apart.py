"""Runs the program by a clock that is wrong: clock_apart.py SECONDS ARGUMENTS.

What passes on a monotonic clock stays true, as on another host whose time was set wrongly. So does
the time at which the log says that something happened.
"""

import runpy
import sys
import time


def shift(seconds):
    """Let the clock that the program reads be so much ahead."""
    real, real_ns = time.time, time.time_ns  # noqa: TID251 - the clock that is shifted
    time.time = lambda: real() + seconds  # noqa: TID251
    time.time_ns = lambda: real_ns() + seconds * 1_000_000_000  # noqa: TID251


if __name__ == "__main__":
    shift(int(sys.argv[1]))
    sys.argv[:2] = ["monitor"]
    sys.path[0] = ""  # not the folder of this file
    runpy.run_module("monitor", run_name="__main__", alter_sys=True)

"""Fuzzing guided by coverage.

    PYTHONPATH=.:tests .venv/bin/python tests/fuzz/run.py TARGET SECONDS [FOLDER]

Targets: `answers` and `configs` are made of bytes, `accounts` and `settings` of parts as in
test_properties.py. FOLDER keeps what was interesting, for the next time, and what failed (without
it, that goes to the present folder); the exception is on the screen.
"""

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["monitor"]):
    from fuzz import targets, test_properties

CORPUS = Path(__file__).parent / "corpus"
TARGETS = {
    "answers": targets.check_answer,
    "configs": targets.check_config,
    "accounts": test_properties.test_odd_entries_hide_no_valid_account.hypothesis.fuzz_one_input,
    "settings": test_properties.test_what_is_wrong_is_said.hypothesis.fuzz_one_input,
}


def main(name, seconds, folder=None):
    with tempfile.TemporaryDirectory() as scratch:
        options = [
            f"-max_total_time={seconds}",
            "-timeout=20",
            "-max_len=4096",
            "-len_control=0",
            "-print_final_stats=1",
            f"-artifact_prefix={folder or '.'}/",
        ]
        seeds = []
        if (CORPUS / name).is_dir():
            options.append(f"-dict={CORPUS / name}.dict")
            seeds.append(str(CORPUS / name))
        target = TARGETS[name]
        atheris.Setup([sys.argv[0], *options, folder or scratch, *seeds], target)
        atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])

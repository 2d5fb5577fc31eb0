"""Runs pytest in a scratch copy, either measured or with chosen tests only.

python -m tests.mutants.runner measure RESULT PATH …   run the tests in these paths, measured
python -m tests.mutants.runner run TESTS               run the tests that the file TESTS names
"""

import json
import sys
from pathlib import Path

import coverage
import pytest
from _pytest.runner import runtestprotocol

OPTIONS = (
    *("-q", "--no-header", "--tb=no", "--disable-warnings", "-p", "no:cacheprovider"),
    *("-n0", "--snapshot-warn-unused"),  # in this process, and not with every test
)


class Twice:
    """Runs a test that failed once more: on a busy machine some fail because of a time limit."""

    def pytest_runtest_protocol(self, item, nextitem):
        reports = runtestprotocol(item, log=False, nextitem=nextitem)
        if any(report.failed for report in reports):
            return None  # pytest runs it, as if nobody had
        for report in reports:
            item.ihook.pytest_runtest_logreport(report=report)
        return True


class Measuring:
    """Learns how long each test takes, and makes it a context of coverage.

    Unlike coverage's own `test_function`, that counts set-up, other tasks and threads too.
    """

    def __init__(self, measured):
        self.tests = {}
        self._measured = measured

    def pytest_collection_modifyitems(self, items):
        items[:] = [item for item in items if not item.get_closest_marker("slow")]

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item):
        self._measured.switch_context(item.nodeid)
        return (yield)

    def pytest_runtest_logreport(self, report):
        test = self.tests.setdefault(report.nodeid, {"seconds": 0, "failed": False, "lines": {}})
        test["seconds"] += report.duration
        test["failed"] |= report.failed


class Chosen:
    """Runs these tests alone, in this order."""

    def __init__(self, tests):
        self._tests = tests

    def pytest_collection_modifyitems(self, items):
        collected = {item.nodeid: item for item in items}
        items[:] = [collected[test] for test in self._tests if test in collected]


def measure(result, *paths):
    """Run the tests in *paths*; write what each takes to the file *result*."""
    measured = coverage.Coverage(data_file=None, config_file=False, source=["monitor"])
    measuring = Measuring(measured)
    with measured.collect():
        status = pytest.main([*OPTIONS, *paths], plugins=[Twice(), measuring])
    data = measured.get_data()
    for file in data.measured_files():
        path = str(Path(file).relative_to(Path.cwd()))
        for line, contexts in data.contexts_by_lineno(file).items():
            for test in filter(None, contexts):
                measuring.tests[test]["lines"].setdefault(path, []).append(line)
    Path(result).write_text(json.dumps(measuring.tests), encoding="utf-8")
    return 0 if status is pytest.ExitCode.TESTS_FAILED else status


def run(names):
    """Run the tests that the file *names* has, one a line, until one fails."""
    tests = Path(names).read_text(encoding="utf-8").splitlines()
    files = dict.fromkeys(test.partition("::")[0] for test in tests)
    return pytest.main([*OPTIONS, "-x", *files], plugins=[Twice(), Chosen(tests)])


if __name__ == "__main__":
    sys.exit({"measure": measure, "run": run}[sys.argv[1]](*sys.argv[2:]))

import os
from contextlib import closing
from pathlib import Path

import pytest

from monitor.web.endpoint import Record, find, places, to_ask


@pytest.fixture
def file(tmp_path):
    return tmp_path / "endpoint"


@pytest.fixture
def record(file):
    with closing(Record([file])) as record:
        yield record


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, []),
        ({"RUNTIME_DIRECTORY": "/run/a"}, ["/run/a/endpoint"]),
        ({"RUNTIME_DIRECTORY": "/run/a:/run/b"}, ["/run/a/endpoint"]),
        ({"RUNTIME_DIRECTORY": "run"}, []),
        ({"LINKEDAPI_MONITOR_DEFAULT_STORAGE_URL": "postgresql://db/monitor"}, []),
        (
            {
                "LINKEDAPI_MONITOR_DEFAULT_STORAGE_URL": "sqlite:////data/m.db?timeout=1",
                "RUNTIME_DIRECTORY": "/run/a",
            },
            ["/run/a/endpoint", "/data/m.db-endpoint"],
        ),
    ],
)
def test_the_address_is_left_where_the_service_or_the_package_has_its_files(environ, expected):
    assert places(environ) == [Path(path) for path in expected]


@pytest.mark.parametrize(
    ("listen", "host"),
    [
        ("127.0.0.1:1", "127.0.0.1"),
        ("[::1]:1", "::1"),
        ("localhost:1", "localhost"),
        ("0.0.0.0:1", "127.0.0.1"),
        ("[::]:1", "127.0.0.1"),
        ("[0:0:0:0:0:0:0:0]:1", "127.0.0.1"),
        ("[::ffff:0.0.0.0]:1", "127.0.0.1"),
        ("[fd00::5]:1", "fd00::5"),
    ],
)
def test_who_listens_everywhere_is_asked_where_every_host_has_an_address(listen, host):
    assert to_ask(listen) == (host, 1)


def test_the_address_of_a_living_monitor_is_found(record, file):
    record.write("127.0.0.1:4321", None)

    assert find([file.with_name("other"), file]) == "127.0.0.1:4321"
    assert file.stat().st_mode & 0o777 == 0o600
    assert [*file.parent.iterdir()] == [file]


def test_one_that_a_kill_left_behind_does_not_count(file):
    file.write_text("127.0.0.1:4321\n\n")

    assert find([file]) is None


def test_it_goes_with_the_monitor(record, file):
    record.write("127.0.0.1:4321", None)
    record.close()

    assert find([file]) is None
    assert not file.exists()


def test_of_two_monitors_the_later_one_counts_and_the_earlier_one_leaves_it_alone(record, file):
    record.write("127.0.0.1:1", None)
    with closing(Record([file])) as second:
        second.write("127.0.0.1:2", None)
        record.close()

        assert find([file]) == "127.0.0.1:2"


def test_who_names_a_configuration_asks_its_monitor_alone(record, file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    record.write("127.0.0.1:4321", Path("a.yaml"))

    assert find([file], tmp_path / "a.yaml") == "127.0.0.1:4321"
    assert find([file], Path("b.yaml")) is None


def test_where_nothing_can_be_written_the_next_place_is_taken(tmp_path, file):
    (tmp_path / "data").write_text("a file, no folder")

    with closing(Record([tmp_path / "data" / "endpoint", tmp_path / "none" / "x", file])) as record:
        record.write("127.0.0.1:1", None)

        assert find([file]) == "127.0.0.1:1"

    with closing(Record([tmp_path / "none" / "x"])) as record:
        record.write("127.0.0.1:1", None)  # a health check reads the configuration


def test_what_is_no_file_is_not_waited_for(file, tmp_path):
    os.mkfifo(file)
    (tmp_path / "link").symlink_to(file)

    assert find([file, tmp_path / "link", tmp_path, Path("a\0b")]) is None

import socket
import threading
from contextlib import closing

from monitor.web.endpoint import Record, places


def test_a_health_check_without_a_monitor_is_unhealthy(run, configured):
    file = configured(more="web: {listen: '127.0.0.1:9'}")

    ran = run("healthcheck", "-c", file)

    assert ran.code == 1
    assert "no answer" in ran.err


def test_a_health_check_goes_by_the_answer(run, api):
    listen = api.removeprefix("http://")

    assert run("healthcheck", "--listen", listen).code == 1  # the simulated API has no /healthz


def test_a_health_check_asks_the_running_monitor_and_reads_no_configuration(
    run, api, tmp_path, monkeypatch
):
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    monkeypatch.setenv("LINKEDAPI_MONITOR_CONFIG", str(tmp_path / "nowhere.yaml"))
    with closing(Record(places({"RUNTIME_DIRECTORY": str(tmp_path)}))) as record:
        record.write(api.removeprefix("http://"), None)

        assert "Cannot GET /healthz" in run("healthcheck").out
        assert run("healthcheck", "-c", str(tmp_path / "wrong.yaml")).code == 2
    assert run("healthcheck").code == 2


def test_an_answer_of_somebody_else_moves_no_cursor(run):
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer():
            connection = server.accept()[0]
            with connection:
                connection.recv(1024)
                connection.sendall(b"HTTP/1.0 200 OK\r\n\r\n\x1b[2J\xc2\x9bgone")

        thread = threading.Thread(target=answer)
        thread.start()
        ran = run("healthcheck", "--listen", f"127.0.0.1:{server.getsockname()[1]}")
        thread.join()

    assert ran.out == "\\x1b[2J\\x9bgone\n"

import asyncio
import gzip
import threading

import pytest
from prometheus_client.parser import text_string_to_metric_families

from monitor.core.secret import Secret
from monitor.metrics import Metrics, exposition
from monitor.metrics.exposition import Page, chunk
from monitor.web import app as web

TOKEN = Secret("scrape-me-Zoë")


@pytest.mark.parametrize(
    ("accepted", "encoding"),
    [
        ("gzip", "gzip"),
        ("deflate, gzip;q=0.5", "gzip"),
        ("GZIP ; q=1.0", "gzip"),
        ("gzip;q=0", None),
        ("gzip; q=0.00", None),
        ("br, x-gzip", None),
        ("identity", None),
        ("", None),
    ],
)
async def test_metrics_are_compressed_if_that_is_accepted(client, accepted, encoding):
    async with client.stream("GET", "/metrics", headers={"Accept-Encoding": accepted}) as response:
        body = b"".join([chunk async for chunk in response.aiter_raw()])

    assert response.status_code == 200
    assert response.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert response.headers.get("Content-Encoding") == encoding
    assert response.headers["Vary"] == "Accept-Encoding"
    assert int(response.headers["Content-Length"]) == len(body)
    text = (gzip.decompress(body) if encoding else body).decode()
    names = {family.name for family in text_string_to_metric_families(text)}
    assert "linkedapi_monitor_build_info" in names


async def test_a_response_of_many_pieces_arrives_whole(client, monkeypatch):
    monkeypatch.setattr(exposition, "PIECE_SIZE", 7)

    response = await client.get("/metrics", headers={"Accept-Encoding": "identity"})

    assert response.text.endswith("\n")
    assert len(list(text_string_to_metric_families(response.text))) > 10


async def test_head_has_no_body(client):
    response = await client.head("/metrics")

    assert response.status_code == 200
    assert response.content == b""
    assert int(response.headers["Content-Length"]) > 0


@pytest.mark.parametrize("path", ["/", "/metrics", "/healthz", "/readyz"])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
async def test_nothing_can_be_changed(client, method, path):
    response = await client.request(method, path)

    assert response.status_code == 405
    assert set(response.headers["Allow"].split(", ")) == {"GET", "HEAD"}
    assert response.json() == {"error": "Method Not Allowed"}


@pytest.mark.parametrize("path", ["/metrics/", "/healthz/", "/docs", "/%2e%2e"])
async def test_everything_else_is_not_found(client, path):
    response = await client.get(path)

    assert response.status_code == 404
    assert response.json() == {"error": "Not Found"}


@pytest.mark.parametrize("token", [None, TOKEN])
async def test_the_endpoint_lists_what_it_has(endpoint, token):
    async with endpoint.served(token=token) as client:
        index = (await client.get("/")).text
        paths = [line.split()[0] for line in index.splitlines()]
        statuses = [(await client.get(path)).status_code for path in paths]

    assert paths == ["/healthz", "/readyz", "/metrics"]
    assert statuses == [200, 200, 401 if token else 200]
    assert ("with web.metrics_token" in index) is (token is not None)


@pytest.mark.parametrize("path", ["/", "/metrics", "/healthz", "/readyz", "/elsewhere"])
async def test_answers_are_not_stored_and_name_no_program(client, path):
    response = await client.get(path)

    assert response.headers["Cache-Control"] == "no-store"
    assert "Server" not in response.headers
    assert "linkedapi-monitor" not in response.text


# ── health ───────────────────────────────────────────────────────────────────────────────────────


async def health(client, path):
    response = await client.get(path)
    return response.status_code, response.json()


def answer(*problems):
    if problems:
        return 503, {"status": "failing", "problems": list(problems)}
    return 200, {"status": "ok"}


async def test_problems_are_shown_where_they_belong(endpoint, client):
    for hanging, missing in ([], []), (["the tick is overdue"], []), ([], ["locked", "full"]):
        endpoint.hanging, endpoint.missing = hanging, missing

        assert await health(client, "/healthz") == answer(*hanging)
        assert await health(client, "/readyz") == answer(*missing)


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
@pytest.mark.parametrize(
    ("token", "is_local", "credentials", "shown"),
    [
        (None, True, None, True),
        (None, False, None, False),
        (TOKEN, True, None, False),
        (TOKEN, False, "Bearer wrong", False),
        (TOKEN, False, f"Bearer {TOKEN.reveal()}", True),
    ],
)
async def test_strangers_are_not_told_why_health_fails(  # noqa: PLR0917 - one case a row
    endpoint, path, token, is_local, credentials, shown
):
    endpoint.hanging = endpoint.missing = ["/data/monitor.db is locked"]
    async with endpoint.served(token=token, is_local=is_local) as client:
        headers = {"Authorization": credentials.encode()} if credentials else {}
        response = await client.get(path, headers=headers)

    problems = {"problems": ["/data/monitor.db is locked"]} if shown else {}
    assert response.status_code == 503
    assert response.json() == {"status": "failing"} | problems


# ── the host ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("path", ["/", "/metrics", "/healthz", "/readyz", "/elsewhere"])
async def test_no_page_of_another_name_reads_what_only_this_machine_may(endpoint, path):
    async with endpoint.served(hosts=["monitor.example.com"]) as client:
        response = await client.get(path, headers={"Host": "evil.example.com:9464"})

    assert response.status_code == 421
    assert list(response.json()) == ["error"]


@pytest.mark.parametrize(
    "host",
    [
        *("localhost", "LOCALHOST:9464", "localhost.", "prometheus.localhost"),
        *("127.0.0.1:9464", "127.1.2.3", "[::1]", "[::1]:9464", "[::ffff:127.0.0.1]:1"),
        *("monitor.example.com", "Monitor.Example.com.:443"),
    ],
)
async def test_this_machine_and_the_hosts_that_are_configured_are_known(endpoint, host):
    async with endpoint.served(hosts=["Monitor.example.com"]) as client:
        assert (await client.get("/healthz", headers={"Host": host})).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        *("", "x", "192.0.2.1", "0.0.0.0", "[::]", "[2001:db8::1]:9464", "localhost.example.com"),
        *("localhost:80:80", "localhost, evil", "user@localhost", "127.0.0.1.example.com", "[::1"),
    ],
)
async def test_what_only_looks_like_this_machine_is_not(endpoint, host):
    async with endpoint.served() as client:
        assert (await client.get("/healthz", headers={"Host": host})).status_code == 421


async def test_a_health_check_of_http_1_0_need_not_name_a_host(endpoint):
    async with endpoint.served():
        reader = await endpoint.connect("GET /healthz HTTP/1.0", "")

        assert b" 200 " in await asyncio.wait_for(reader.readline(), 10)


async def test_an_endpoint_for_all_goes_by_every_name(endpoint):
    async with endpoint.served(is_local=False) as client:
        assert (await client.get("/metrics", headers={"Host": "10.0.0.7:1"})).status_code == 200


# ── the token ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("header", "status"),
    [
        (None, 401),
        (b"", 401),
        (b"Bearer", 401),
        (b"Bearer wrong", 401),
        (b"Basic c2NyYXBlLW1l", 401),
        ("Bearer scrape-me-Zoë".encode(), 200),
        ("bearer  scrape-me-Zoë".encode(), 200),
        ("Bearer scrape-me-Zoë2".encode(), 401),
        ("scrape-me-Zoë".encode(), 401),
    ],
)
async def test_metrics_may_need_a_token(endpoint, header, status):
    async with endpoint.served(token=TOKEN) as client:
        headers = {"Authorization": header} if header is not None else {}
        response = await client.get("/metrics", headers=headers)
        health = await client.get("/healthz")

    assert response.status_code == status
    assert health.status_code == 200
    if status == 401:
        assert response.headers["WWW-Authenticate"] == "Bearer"
        assert response.json() == {"error": "Unauthorized"}


async def test_no_scrape_is_counted_before_its_token(endpoint, monkeypatch):
    monkeypatch.setattr(web, "MAX_SCRAPES", 0)
    async with endpoint.served(token=TOKEN) as client:
        assert (await client.get("/metrics")).status_code == 401


# ── promise 9: bounded ───────────────────────────────────────────────────────────────────────────


@pytest.mark.usefixtures("huge")
async def test_a_stalled_reader_does_not_block_others(endpoint):
    async with endpoint.served() as client:
        await endpoint.stall()

        health = await client.get("/healthz")
        scraped = await client.get("/metrics")

    assert (health.status_code, scraped.status_code) == (200, 200)
    assert len(scraped.content) == 30_000_000


@pytest.mark.usefixtures("huge")
async def test_too_many_scrapes_at_once_are_refused(endpoint, monkeypatch):
    monkeypatch.setattr(web, "MAX_SCRAPES", 1)
    async with endpoint.served() as client:
        await endpoint.stall()

        response = await client.get("/metrics")

    assert response.status_code == 503
    assert response.headers["Retry-After"] == "5"


class SlowMetrics(Metrics):
    """Takes its time until it is told to go on."""

    def __init__(self):
        super().__init__(version="1.2.3")
        self.started = threading.Event()
        self.go_on = threading.Event()

    def render(self, *, compressed=False):
        self.started.set()
        assert self.go_on.wait(10)
        return Page([chunk("done\n")], compressed=compressed)


async def test_metrics_are_rendered_without_blocking_the_loop(endpoint):
    endpoint.metrics = slow = SlowMetrics()
    async with endpoint.served() as client:
        scrape = asyncio.create_task(client.get("/metrics"))
        await asyncio.to_thread(slow.started.wait, 10)

        health = await client.get("/healthz")
        slow.go_on.set()

        assert health.status_code == 200
        assert (await scrape).text == "done\n"


class FailingMetrics(Metrics):
    def render(self, **_kwargs):
        raise RuntimeError("secret detail")


async def test_an_error_of_ours_is_an_answer_without_details(endpoint, caplog):
    endpoint.metrics = FailingMetrics(version="1.2.3")
    async with endpoint.served() as client:
        response = await client.get("/metrics")

    assert response.status_code == 500
    assert response.json() == {"error": "Internal Server Error"}
    assert "secret detail" in caplog.text

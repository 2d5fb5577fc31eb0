"""Promise 9 for strangers: no connection keeps the endpoint from others."""

import asyncio
from contextlib import suppress

import pytest

from monitor.web import app as web
from monitor.web import connection
from monitor.web.peer import peer_of

SILENT = ["GET /he"]
HANGING = ["GET /slow HTTP/1.1", "Host: localhost", ""]
OTHER, THIRD = "127.0.0.2", "127.0.0.3"


@pytest.fixture
def hanging(endpoint):
    """A page that takes as long as the test; it says each time that it was asked for."""
    asked = asyncio.Semaphore(0)

    async def hang():
        asked.release()
        await endpoint.stopping.wait()

    endpoint.answer = hang
    return asked


def answering(endpoint, *pieces):
    """Let the endpoint answer everything with *pieces*; return what says that it is done."""
    done = asyncio.Event()

    async def app(_scope, _receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for piece in pieces[:-1]:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": pieces[-1]})
        done.set()

    endpoint.app = lambda **_options: app
    return done


@pytest.fixture
def limits(monkeypatch):
    """As many connections in all, and of a peer, as a test wants."""

    def limit(total, *, peer):
        monkeypatch.setattr(connection, "MAX_CONNECTIONS", total)
        monkeypatch.setattr(connection, "MAX_PEER_CONNECTIONS", peer)

    return limit


async def ended(reader):
    """Read to the end, which has to come."""
    async with asyncio.timeout(10):
        return await reader.read()


def is_open(reader):
    return not reader.at_eof() and reader.exception() is None


# ── room ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.usefixtures("client")
async def test_the_longest_idle_gives_way_to_a_newcomer(endpoint, limits):
    limits(10, peer=3)
    first, second, third = [await endpoint.connect(*SILENT) for _ in range(3)]

    assert "200 ok" in await endpoint.ask("/metrics")

    assert await ended(first) == b""
    assert is_open(second)
    assert is_open(third)


async def test_idle_counts_from_the_last_answer(endpoint, limits):
    limits(2, peer=2)
    async with endpoint.served() as client:
        await client.get("/healthz")
        silent = await endpoint.connect(*SILENT)
        await client.get("/healthz")

        await endpoint.connect(*SILENT)

        assert await ended(silent) == b""


@pytest.mark.usefixtures("client")
async def test_of_all_the_peer_that_has_the_most_gives_way(endpoint, limits):
    limits(3, peer=3)
    modest = await endpoint.connect(*SILENT, peer=OTHER)
    first, second = [await endpoint.connect(*SILENT) for _ in range(2)]

    assert "200 ok" in await endpoint.ask("/metrics", peer=THIRD)

    assert await ended(first) == b""
    assert is_open(modest)
    assert is_open(second)


@pytest.mark.usefixtures("client")
async def test_a_busy_peer_has_no_more_but_health_and_others_all(endpoint, hanging, limits):
    limits(10, peer=2)
    silent = await endpoint.connect(*SILENT, peer=OTHER)
    for _ in range(2):
        await endpoint.connect(*HANGING)
        await hanging.acquire()

    refused = await endpoint.ask("/metrics")
    health = await endpoint.ask("/healthz")
    others = await endpoint.ask("/metrics", peer=OTHER)

    assert "503 service" in refused
    assert "retry-after: 5" in refused
    assert "200 ok" in health
    assert "connection: close" in health
    assert "200 ok" in others
    assert "connection: close" not in others
    assert is_open(silent)


@pytest.mark.usefixtures("client")
async def test_health_has_no_limit_however_busy_all_are(endpoint, hanging, limits):
    limits(2, peer=1)
    for peer in (OTHER, THIRD):
        await endpoint.connect(*HANGING, peer=peer)
        await hanging.acquire()

    assert "503 service" in await endpoint.ask("/metrics")
    for _ in range(5):
        assert "200 ok" in await endpoint.ask("/healthz")


@pytest.mark.usefixtures("client")
async def test_those_beyond_the_limit_give_way_to_one_another(endpoint, hanging, limits):
    limits(1, peer=1)
    await endpoint.connect(*HANGING)
    await hanging.acquire()

    beyond = await endpoint.connect(*SILENT)

    assert "200 ok" in await endpoint.ask("/healthz")
    assert await ended(beyond) == b""


async def test_an_answer_arrives_whole_though_its_connection_gives_way(endpoint, limits):
    limits(1, peer=1)
    answered = answering(endpoint, b"x" * 5_000_000)
    async with endpoint.served():
        reader = await endpoint.stall()
        await answered.wait()

        await endpoint.connect(*SILENT)

        assert b"x" * 1000 + b"\r\n0\r\n\r\n" in await ended(reader)


async def test_a_hundred_silent_connections_keep_nothing_from_anybody(endpoint):
    async with endpoint.served() as client:
        for peer in ("127.0.0.1", OTHER):
            for _ in range(connection.MAX_CONNECTIONS):
                await endpoint.connect(peer=peer)

        for path in ("/healthz", "/readyz", "/metrics"):
            assert (await client.get(path)).status_code == 200


@pytest.mark.parametrize(
    ("client", "peer"),
    [
        (("192.0.2.7", 1), "192.0.2.7"),
        (("::ffff:192.0.2.7", 1), "192.0.2.7"),
        (("2001:db8:1:2:3:4:5:6", 1), "2001:db8:1:2::/64"),
        (("fe80::1%eth0", 1), "fe80::/64"),
        (("::1", 1), "::/64"),
        (None, ""),
    ],
)
def test_limits_count_by_host(client, peer):
    assert peer_of(client) == peer


# ── time ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "sent",
    [
        [],
        ["GET /healthz HTTP/1.1", "X-Slow: y"],
        [
            "POST /healthz HTTP/1.1",
            "Host: localhost",
            "Content-Length: 1000000",
            "",
            "no more comes",
        ],
        ["GET /healthz HTTP/1.1", "Host: localhost", ""],
    ],
)
async def test_no_connection_waits_for_ever(endpoint, monkeypatch, sent):
    monkeypatch.setattr(connection, "TRANSFER_TIMEOUT", 0.2)
    async with endpoint.served():
        reader = await endpoint.connect(*sent)

        with suppress(ConnectionResetError):
            await ended(reader)


@pytest.mark.usefixtures("huge")
async def test_a_stalled_reader_is_cut_off(endpoint, monkeypatch):
    monkeypatch.setattr(connection, "PATIENCE", 0.2)
    monkeypatch.setattr(web, "MAX_SCRAPES", 1)
    async with endpoint.served() as client:
        await endpoint.stall()
        held = await client.get("/metrics")

        async with asyncio.timeout(10):
            while (await client.head("/metrics")).status_code != 200:
                pass

    assert held.status_code == 503


async def test_even_a_small_answer_does_not_hide_in_the_buffers_of_the_system(
    endpoint, monkeypatch
):
    monkeypatch.setattr(connection, "PATIENCE", 0.2)
    done = answering(endpoint, *[b"x" * 65_536] * 40)
    async with endpoint.served():
        reader = await endpoint.stall()
        await asyncio.wait_for(done.wait(), 10)

        with suppress(ConnectionResetError):
            assert not (await ended(reader)).endswith(b"0\r\n\r\n")


@pytest.mark.usefixtures("huge", "client")
async def test_a_trickling_reader_is_cut_off(endpoint, monkeypatch):
    monkeypatch.setattr(connection, "PATIENCE", 0.2)
    monkeypatch.setattr(connection, "MIN_RATE", 1 << 30)
    reader = await endpoint.stall()

    with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):  # noqa: PT012 - whichever read it is
        async with asyncio.timeout(10):
            while True:
                await reader.readexactly(100_000)
                await asyncio.sleep(0.01)


@pytest.mark.usefixtures("huge", "client")
async def test_a_reader_that_keeps_the_rate_is_served_however_long_it_takes(endpoint, monkeypatch):
    monkeypatch.setattr(connection, "PATIENCE", 1.0)
    reader = await endpoint.stall()
    await reader.readuntil(b"\r\n\r\n")

    for _ in range(30):
        await reader.readexactly(1_000_000)
        await asyncio.sleep(0.1)


@pytest.mark.usefixtures("huge")
async def test_slow_readers_keep_no_scrape_from_others(endpoint):
    async with endpoint.served() as client:
        for _ in range(web.MAX_PEER_SCRAPES):
            await endpoint.stall(peer=OTHER)

        assert "503 service" in await endpoint.ask("/metrics", peer=OTHER)
        assert (await client.get("/metrics")).status_code == 200


# ── what is sent ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.usefixtures("client")
async def test_requests_one_after_the_other_share_a_connection(endpoint):
    ask = ["GET /healthz HTTP/1.1", "Host: localhost", "Content-Length: 0", ""]

    reader = await endpoint.connect(*ask, *ask)

    for _ in range(2):
        assert (await reader.readuntil(b'{"status":"ok"}')).startswith(b"HTTP/1.1 200")


GET = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
POST = b"POST /healthz HTTP/1.1\r\nHost: localhost\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
REFUSED = {
    "two lengths": POST + b"Content-Length: 5\r\n" + CHUNKED,
    "a length twice": POST + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\nx",
    "a list of lengths": POST + b"Content-Length: 1, 1\r\n\r\nx",
    "two tokens": GET + b"Authorization: a\r\nauthorization: b\r\n\r\n",
    "chunks of HTTP/1.0": b"POST / HTTP/1.0\r\nHost: localhost\r\n" + CHUNKED,
    "a folded line": GET + b"X: a\r\n b\r\n\r\n",
    "a bare LF": GET + b"X: a\nY: b\r\n\r\n",
    "bare LFs at the end": GET + b"X: a\n\n",
    "a body to GET": GET + b"Content-Length: 1\r\n\r\nx",
    "chunks to GET": GET + CHUNKED,
    "5,000 headers": GET + b"a:\r\n" * 5_000 + b"\r\n",
    "101 headers": GET + b"a:\r\n" * 100 + b"\r\n",
    "a long head": GET + b"X: " + b"x" * 17_000 + b"\r\n\r\n",
    "a head without end": GET + b"X: " + b"x" * 17_000,
    "no chunk": POST + b"Transfer-Encoding: chunked\r\n\r\nno chunk\r\n",
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
}


@pytest.mark.usefixtures("client")
@pytest.mark.parametrize("sent", REFUSED.values(), ids=REFUSED)
async def test_what_can_be_read_in_two_ways_or_is_too_much_is_refused(endpoint, sent, caplog):
    answer = await ended(await endpoint.send(sent))

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.count(b"HTTP/1.1") == 1
    assert not caplog.records


@pytest.mark.usefixtures("client")
async def test_a_head_may_come_in_pieces_and_have_a_hundred_headers(endpoint):
    head = GET + b"a: b\r\n" * 99 + b"\r\n"
    reader, writer = await asyncio.open_connection(*endpoint.address)
    for at in range(len(head)):
        writer.write(head[at : at + 1])
        await writer.drain()

    assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"

    writer.close()


@pytest.mark.usefixtures("client")
@pytest.mark.parametrize("length", ["Content-Length: 9999999", "Transfer-Encoding: chunked"])
async def test_what_is_sent_after_the_answer_is_not_read(endpoint, length):
    reader = await endpoint.connect("POST /healthz HTTP/1.1", "Host: localhost", length, "", "5")

    answer = (await ended(reader)).lower()

    assert answer.startswith(b"http/1.1 405 ")
    assert b"connection: close" in answer


async def test_an_answer_breaks_off_if_the_body_breaks(endpoint, caplog):
    broken = asyncio.Event()

    async def app(_scope, _receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await broken.wait()
        await send({"type": "http.response.body", "body": b"late"})

    endpoint.app = lambda **_options: app
    async with endpoint.served():
        reader, writer = await asyncio.open_connection(*endpoint.address)
        writer.write(POST + b"Transfer-Encoding: chunked\r\n\r\n")
        assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"

        writer.write(b"no chunk\r\n")
        rest = await ended(reader)
        broken.set()
        writer.close()

    assert b"HTTP/1.1" not in rest
    assert b"late" not in rest
    assert not caplog.records

"""Heads of responses: read in any form that is legal, and passed on in one."""

import asyncio
from contextlib import suppress

import pytest
from harness.raw_server import RawServer, http, then
from hypothesis import given
from hypothesis import strategies as st

from monitor.net.head import MAX_HEAD, OddAnswerError, find_end, read_head
from monitor.net.http import open_http
from monitor.net.proxy import Proxies
from monitor.net.tls import tls_context


def head(*lines, status="HTTP/1.1 200 OK"):
    return read_head("\r\n".join((status, *lines, "", "")).encode("latin-1"))


def written(*lines, **options):
    """Return the lines that the parser is to see, but the first."""
    return head(*lines, **options).content.decode().split("\r\n")[1:-2]


@pytest.mark.parametrize(
    ("status", "first"),
    [
        ("HTTP/1.1 200 OK", "HTTP/1.1 200 "),
        ("HTTP/1.1 404", "HTTP/1.1 404 "),
        ("HTTP/1.0 200 OK", "HTTP/1.0 200 "),
        ("HTTP/2 200 OK", "HTTP/1.1 200 "),
        ("http/1.1  503\tTr\xe8s occup\xe9", "HTTP/1.1 503 "),
    ],
)
def test_a_status_is_read_in_any_form(status, first):
    assert head(status=status).content.decode().startswith(f"{first}\r\n")


@pytest.mark.parametrize(
    ("lines", "framing", "length"),
    [
        (["Content-Length: 5"], ["content-length: 5"], 5),
        (["content-length:5", "CONTENT-LENGTH: 5 , 5"], ["content-length: 5"], 5),
        (["content-length : 5"], ["content-length: 5"], 5),
        (["transfer-encoding: Chunked"], ["transfer-encoding: chunked"], None),
        (["transfer-encoding: identity", "content-length: 5"], ["content-length: 5"], 5),
        (["x: y"], [], None),
        (["content-length:"], OddAnswerError, None),
        (["content-length: 5", "content-length: 6"], OddAnswerError, None),
        (["content-length: -5"], OddAnswerError, None),
        (["content-length: 99999999999999999999"], OddAnswerError, None),
    ],
)
def test_the_body_is_as_long_as_all_say(lines, framing, length):
    if framing is OddAnswerError:
        with pytest.raises(OddAnswerError, match="length"):
            head(*lines)
    else:
        assert written(*lines) == framing
        assert head(*lines).length == length


def test_chunks_count_more_than_a_length_and_are_the_last_that_comes():
    lines = ["transfer-encoding: chunked", "content-length: 5", "connection: keep-alive"]

    assert written(*lines) == ["transfer-encoding: chunked", "connection: close"]


def test_codings_of_the_transfer_are_undone_with_those_of_the_content():
    lines = ["content-encoding: deflate", "transfer-encoding: gzip, chunked"]

    assert written(*lines) == [
        *("content-encoding: deflate", "content-encoding: gzip", "transfer-encoding: chunked")
    ]


def test_only_what_anybody_asks_for_is_passed_on():
    lines = ["set-cookie: a=b", "Date: today", "upgrade: h2c", "\xe9@ : x", "connection: upgrade"]

    assert written(*lines, ": x", "retry-after: 5", "x: y\r\n folded") == [
        *("date: today", "retry-after: 5")
    ]


def test_a_value_that_goes_on_in_the_next_line_is_one():
    assert written("content-type: text/html;\r\n\tcharset=utf-8") == [
        "content-type: text/html; charset=utf-8"
    ]


@given(st.binary(max_size=300))
def test_whatever_comes_is_read_or_said_to_be_odd(received):
    received = b"HTTP/" + received
    with suppress(OddAnswerError):
        end = find_end(received)
        if end is not None:
            assert read_head(received[:end]).content.find(b"\r\n\r\n") > 0


@given(st.binary(max_size=40), st.integers(0, 40))
def test_an_end_is_found_wherever_what_came_was_cut(middle, cut):
    received = b"HTTP/1.1 200 OK\r\n" + middle + b"\r\n\r\nbody"
    part = bytearray(received[:cut])
    end = find_end(part)
    if end is None:
        part += received[cut:]
        end = find_end(part, cut)

    assert end == find_end(received)


# ── over a connection ────────────────────────────────────────────────────────────────────────────


def client():
    return open_http(proxies=Proxies({}), tls_context=tls_context(), keep_alive=60)


async def ask(reply):
    async with RawServer(reply) as server, client() as asked, asyncio.timeout(20):
        return await asked.post(server.url, json={})


async def one_by_one(_, writer):
    """Send a whole response one byte at a time."""
    for byte in http(200, b"whole", {"date": "today"}):
        writer.write(bytes([byte]))
        await writer.drain()


async def test_a_head_in_pieces_is_whole_in_the_end():
    response = await ask(one_by_one)

    assert (response.content, response.headers["date"]) == (b"whole", "today")


@pytest.mark.parametrize("status", [204, 304])
async def test_what_has_no_body_has_none_whatever_comes(status):
    response = await ask(http(status, b"surplus"))

    assert (response.status_code, response.content) == (status, b"")


async def test_what_comes_after_an_answer_is_no_answer_to_what_is_asked_next():
    replies = http(200, b"first") + http(200, b"stray"), http(200, b"second")
    async with RawServer(*replies) as server, client() as asked:
        contents = [(await asked.post(server.url)).content for _ in range(2)]

    assert contents == [b"first", b"second"]
    assert server.connections == 2  # who sends too much is not trusted with another


@pytest.mark.parametrize(
    "lines",
    [
        *(b"x: %b\r\n" % (b"y" * 70_000), b"x: y\r\n" * 20_000),
        b"\r\nHTTP/1.1 102 Processing\r\n" * 5000,
    ],
)
async def test_a_head_without_end_is_given_up(lines):
    async def flood(_, writer):
        while True:
            writer.write(lines)
            await writer.drain()

    with pytest.raises(Exception, match="no answer") as caught:
        await ask(then(b"HTTP/1.1 102 Processing\r\n", flood))

    assert str(caught.value.__cause__) == f"with a head of more than {MAX_HEAD // 1024} KiB"

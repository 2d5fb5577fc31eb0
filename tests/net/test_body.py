"""Bodies of responses: whatever codings they come in, within a limit at every stage."""

import gzip
import zlib
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.net.body import MAX_CODINGS, read_body
from monitor.net.head import OddAnswerError

BODY = b'{"success": true, "result": {"accounts": []}}' * 50


def unwrapped(content):
    compressor = zlib.compressobj(wbits=-15)
    return compressor.compress(content) + compressor.flush()


async def read(content, encoding, *, limit=1_000_000, size=1000):
    async def chunks():
        for start in range(0, len(content), size):
            yield content[start : start + size]

    return await read_body(chunks(), encoding, limit=limit)


@pytest.mark.parametrize("size", [1, 2, 1000])
@pytest.mark.parametrize(
    ("content", "encoding"),
    [
        (BODY, ""),
        (BODY, "identity"),
        (BODY, " None "),
        (gzip.compress(BODY), "gzip"),
        (gzip.compress(BODY), "X-GZip"),
        (gzip.compress(BODY[:500]) + gzip.compress(BODY[500:]), "gzip"),
        (gzip.compress(BODY) + bytes(20), "gzip"),
        (zlib.compress(BODY), "deflate"),
        (unwrapped(BODY), "deflate"),
        (gzip.compress(gzip.compress(BODY)), "gzip, gzip"),
        (gzip.compress(unwrapped(BODY)), "deflate,identity,\tgzip,"),
        (unwrapped(gzip.compress(BODY)), "gzip, deflate"),
        (gzip.compress(BODY)[:-8], "gzip"),  # what is there is whole
    ],
)
async def test_codings_are_undone_in_turn(content, encoding, size):
    assert await read(content, encoding, size=size) == BODY


async def test_a_body_that_is_too_long_is_not_taken_for_one_that_fits():
    assert await read(BODY, "", limit=1000) == BODY[:2000]
    assert await read(BODY[:1000], "", limit=1000) == BODY[:1000]


@pytest.mark.parametrize(
    ("content", "encoding", "words"),
    [
        (BODY, "gzip", "with damaged compression"),
        (gzip.compress(BODY)[:-8] + bytes(8), "gzip", "with damaged compression"),
        (BODY, "br", "in a compression that was not asked for (br)"),
        (BODY, "gzip, s3cr3t of somebody", "in a compression that was not asked for"),
        (BODY, "gzip," * (MAX_CODINGS + 1), "compressed more than 5 times"),
    ],
)
async def test_what_cannot_be_undone_is_said(content, encoding, words):
    with pytest.raises(OddAnswerError) as caught:
        await read(content, encoding)

    assert str(caught.value) == words


@pytest.mark.parametrize("encoding", ["", "gzip", "gzip, gzip"])
async def test_more_than_the_limit_is_not_read(encoding):
    content = b" " * 50_000
    for _ in encoding.split():
        content = gzip.compress(content)

    assert len(await read(content, encoding, limit=49_999)) > 49_999
    assert len(await read(content, encoding, limit=50_000)) == 50_000


async def test_a_stage_that_swells_for_nothing_is_given_up():
    inner = gzip.compress(b"") + bytes(10_000_000)  # padding that is worth nothing
    with pytest.raises(OddAnswerError, match="more compressed data than a body may have"):
        await read(gzip.compress(inner), "gzip, gzip", limit=100_000)


async def test_empty_members_without_end_are_given_up():
    with pytest.raises(OddAnswerError, match="more compressed data than a body may have"):
        await read(gzip.compress(b"") * 10_000, "gzip", limit=100_000)


@given(st.binary(max_size=200), st.sampled_from(["gzip", "deflate", "gzip, deflate"]))
async def test_whatever_comes_is_read_or_said_to_be_odd(content, encoding):
    with suppress(OddAnswerError):
        assert len(await read(content, encoding, limit=1000)) <= 100_000

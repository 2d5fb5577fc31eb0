import zlib
from hashlib import sha512

import pytest
from harness.metrics import account, page_of

from monitor.metrics.exposition import PIECE_SIZE

PROFILE = "https://www.linkedin.com/in/jane-doe/"


@pytest.mark.odd_input("hostile name")
@pytest.mark.parametrize(
    "name",
    [
        'Jane "JJ" Doe',
        "back\\slash\\",
        "two\nlines",
        "carriage\rreturn",
        "a } b { c",
        "100 %s %(x)s",
        "\u202eevil\u2028",
        "Ünïcödé 漢字 🦊",
        '"} 1\nlinkedapi_workspace_up{workspace="acme"} 1',
    ],
)
def test_hostile_names_stay_inside_their_label(metrics, name):
    metrics.show(account(name=name, id_=name, country=name))

    (info,) = (dict(labels) for name, labels in metrics.series() if name.endswith("account_info"))
    assert (info["workspace"], info["account_id"]) == ("acme", name), "an id is as it is"
    assert info["name"] == info["country"]
    labels = {"workspace": "acme", "account_id": name, "name": info["name"]}
    assert metrics.value("linkedapi_account_status", **labels) is None
    assert metrics.value("linkedapi_workspace_up", workspace="acme") == 1


@pytest.mark.parametrize(("name", "shown"), [("half \ud83e", "half ?"), ("n" * 5000, "n" * 100)])
def test_half_a_character_does_not_end_the_scrape_and_long_names_are_cut(metrics, name, shown):
    metrics.show(account(name=name))

    labels = {"workspace": "acme", "account_id": "a1", "name": shown, "country": "DE"}
    assert metrics.value("linkedapi_account_info", **labels, url=PROFILE) == 1


def test_a_compressed_page_is_one_ordinary_gzip_stream(metrics):
    metrics.fill()
    long = "a" * 700  # a hundred of them are more than 64 KiB
    names = [f"Ünïcödé 漢字 🦊 {n}" for n in range(1000)]
    ids = [long + sha512(name.encode()).hexdigest() for name in names]  # that gzip can't shorten
    metrics.show(*(account(id_, name=name) for id_, name in zip(ids, names, strict=True)))
    reader = zlib.decompressobj(zlib.MAX_WBITS | 16)

    page = metrics.render(compressed=True)
    pieces = list(page)
    text = reader.decompress(b"".join(pieces))

    assert reader.eof  # with the right checksum and length
    assert reader.unused_data == b""
    assert sum(map(len, pieces)) == page.size
    assert max(map(len, [*pieces, *metrics.render()])) < 2 * PIECE_SIZE, "else it stays in memory"
    assert ours(text) == ours(page_of(metrics).encode())
    assert all(name.encode() in text for name in names)


def ours(text):
    """The lines that are the same at each scrape: nothing of the process."""
    return [line for line in text.splitlines() if b"linkedapi" in line]

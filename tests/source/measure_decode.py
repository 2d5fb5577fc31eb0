"""How long decoding takes.

PYTHONPATH=.:tests python tests/source/measure_decode.py [accounts]
"""

import json
import sys
import timeit

import msgspec
from source.payloads import account, body

from monitor.source.decode import Decoder


class Bare(msgspec.Struct, rename="camel"):
    id: str
    status: str
    name: str | None = None
    url: str | None = None
    country_code: str | None = None
    reconnection_session_id: str | None = None
    reconnection_link: str | None = None


class BareResult(msgspec.Struct):
    accounts: list[Bare]


class BareAnswer(msgspec.Struct):
    success: bool
    result: BareResult


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    accounts = [account(number) for number in range(count)]
    one, two = body(*accounts), body(account(0, status="frozen"), *accounts[1:])
    odd = body(account(0, status=None), *accounts[1:])
    bare = msgspec.json.Decoder(BareAnswer)
    decoder = Decoder(())
    sys.stdout.write(f"{count} accounts, {len(one) / 1e6:.2f} MB; best of 50, milliseconds\n")

    def best(work):
        return min(timeit.repeat(work, number=1, repeat=50)) * 1000

    bodies = [one, two]

    def changing():
        bodies.reverse()
        decoder.decode(bodies[0])

    figures = {
        "msgspec alone": lambda: bare.decode(one),
        "unchanged": lambda: decoder.decode(one),
        "one account changed": changing,
        "everything new": lambda: Decoder(()).decode(one),
        "one account odd, lenient": lambda: decoder.decode(odd),
        "json.loads alone": lambda: json.loads(one),
    }
    for name, work in figures.items():
        sys.stdout.write(f"  {name:26} {best(work):6.3f}\n")


if __name__ == "__main__":
    main()

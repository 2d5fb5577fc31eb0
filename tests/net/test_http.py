"""Clients of HTTP: what they keep, where they connect, and what they do not do."""

import asyncio
import base64
import socket

import pytest
from harness.raw_server import RawServer, http

from monitor.core.errors import SetupError
from monitor.core.secret import Secret
from monitor.net import loop
from monitor.net.failure import connect_failure
from monitor.net.http import open_http
from monitor.net.proxy import Proxies, always, from_environment
from monitor.net.tls import tls_context

OK = http(200, b"ok")


def client(proxies=None, **options):
    return open_http(proxies=proxies or Proxies({}), tls_context=tls_context(), **options)


async def test_cookies_are_not_kept_and_redirects_not_followed():
    reply = http(302, b"", {"set-cookie": "a=1", "location": "/x"})
    async with RawServer(reply) as server, client() as asked:
        await asked.get(server.url)
        response = await asked.get(server.url)

    assert response.status_code == 302
    assert len(server.requests) == 2
    assert "cookie" not in server.requests[1].headers


@pytest.mark.parametrize(("keep_alive", "connections"), [(0, 3), (60, 1)])
async def test_a_connection_is_used_again_only_where_asked_for(keep_alive, connections):
    async with RawServer(OK) as server, client(keep_alive=keep_alive) as asked:
        for _ in range(3):
            await asked.get(server.url)

    assert server.connections == connections


@pytest.mark.parametrize(
    ("login", "sent"),
    [
        ("user:pass-word", b"user:pass-word"),
        ("us%40er:p%2Fw%3A%25", b"us@er:p/w:%"),
        ("bj%C3%B6rn:gr%C3%BCn", "björn:grün".encode()),
        ("user", b"user:"),
    ],
)
async def test_a_proxy_gets_its_login_whatever_is_in_it(login, sent):
    async with RawServer(OK) as proxy:
        proxies = always("proxy", Secret(f"http://{login}@127.0.0.1:{proxy.port}"))
        async with client(proxies) as asked:
            await asked.get("http://example.invalid/x")

    (request,) = proxy.requests
    assert request.line == "GET http://example.invalid/x HTTP/1.1"
    assert base64.b64decode(request.headers["proxy-authorization"].split()[1]) == sent


async def test_each_address_goes_its_own_way():
    async with RawServer(OK) as proxy, RawServer(OK) as server:
        environ = {"http_proxy": f"127.0.0.1:{proxy.port}", "no_proxy": "127.0.0.0/8"}
        async with client(from_environment(environ)) as asked:
            await asked.get(server.url)
            await asked.get("http://example.invalid/")

    assert (len(server.requests), len(proxy.requests)) == (1, 1)


class TwoAddresses(loop.EventLoop):
    """A loop in which every name has two addresses, of which the first is dead."""

    async def getaddrinfo(self, _host, port, **_):
        addresses = ((name, port) for name in ("127.0.0.2", "127.0.0.1"))
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address) for address in addresses]


def test_a_first_address_that_is_dead_does_not_take_the_whole_attempt():
    async def ask():
        async with RawServer(OK) as server, asyncio.timeout(5), client() as asked:
            with socket.socket() as dead, socket.socket() as first, socket.socket() as second:
                dead.bind(("127.0.0.2", server.port))
                dead.listen(0)
                for waiting in (first, second):  # fill its backlog
                    waiting.settimeout(0)
                    waiting.connect_ex(("127.0.0.2", server.port))
                return await asked.get(f"http://mail.example.com:{server.port}")

    with asyncio.Runner(loop_factory=TwoAddresses) as runner:
        assert runner.run(ask()).status_code == 200


async def test_an_address_is_asked_for_as_it_is_written():
    path = "/a%2Fb/~%7E//?sig=x%2By%3D&q=a+b&e=%20&name=J%C3%BCrgen"
    async with RawServer(OK) as server, client() as asked:
        await asked.post(f"{server.url}{path}", content=b"x")

    assert server.requests[0].line == f"POST {path} HTTP/1.1"


async def test_a_proxy_that_is_none_is_named_when_it_is_first_needed():
    proxies = from_environment({"http_proxy": "socks5://user:s3cr3t@proxy"})
    async with client(proxies) as asked:
        with pytest.raises(SetupError) as caught:
            await asked.get("http://example.invalid")

    words = connect_failure(caught.value)
    assert words.startswith("http_proxy: SOCKS proxies are not supported")
    assert "s3cr3t" not in words

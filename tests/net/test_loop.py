"""Names that are looked up beside everything else, and never for longer than somebody waits."""

import asyncio
import gc
import socket
import threading

import pytest

from monitor.core.duration import Duration
from monitor.net import loop as net_loop
from monitor.net.loop import MAX_LOOKUPS, EventLoop, run


class Resolver:
    """Answers questions when it is told to, and knows what it was asked."""

    def __init__(self):
        self.asked = []
        self.may_answer = threading.Event()

    def ask(self, question):
        self.asked.append(question)
        assert self.may_answer.wait(60)
        if question == "nobody":
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return f"address of {question}"


@pytest.fixture
def resolver():
    """A resolver that is silent until the test ends."""
    resolver = Resolver()
    yield resolver
    resolver.may_answer.set()


async def look_up(resolver, question):
    return await asyncio.get_running_loop()._look_up(resolver.ask, question)


async def until(holds):
    async with asyncio.timeout(20):
        while not holds():
            await asyncio.sleep(0.005)


def test_addresses_and_names_are_looked_up():
    async def ask():
        loop = asyncio.get_running_loop()
        (answer,) = await loop.getaddrinfo("127.0.0.1", 25, type=socket.SOCK_STREAM)
        return answer[4], await loop.getnameinfo(answer[4], socket.NI_NUMERICHOST)

    address, name = run(ask())

    assert address == ("127.0.0.1", 25)
    assert name[0] == "127.0.0.1"


def test_look_ups_that_hang_leave_the_threads_to_others_and_are_not_waited_for(resolver):
    async def work():
        hanging = [asyncio.create_task(look_up(resolver, f"name {n}")) for n in range(40)]
        await until(lambda: len(resolver.asked) == MAX_LOOKUPS)
        for _ in range(40):
            await asyncio.wait_for(asyncio.to_thread(int), 20)
        for task in hanging:
            task.cancel()

    run(work())

    assert len(resolver.asked) == MAX_LOOKUPS
    threads = [thread for thread in threading.enumerate() if thread.name == "lookup"]
    assert len(threads) == MAX_LOOKUPS
    assert all(thread.daemon for thread in threads)


def test_one_question_is_asked_once_and_answers_all_who_still_wait(resolver):
    async def work():
        first, *others = [asyncio.create_task(look_up(resolver, "one")) for _ in range(5)]
        await until(lambda: resolver.asked)
        first.cancel()
        resolver.may_answer.set()
        return await asyncio.gather(*others)

    assert run(work()) == ["address of one"] * 4
    assert resolver.asked == ["one"]


def test_whoever_waits_for_a_free_thread_gets_one(resolver):
    async def work():
        names = [f"name {n}" for n in range(MAX_LOOKUPS * 3)]
        tasks = [asyncio.create_task(look_up(resolver, name)) for name in names]
        await until(lambda: len(resolver.asked) == MAX_LOOKUPS)
        resolver.may_answer.set()
        assert await asyncio.gather(*tasks) == [f"address of {name}" for name in names]

    run(work())

    assert len(resolver.asked) == MAX_LOOKUPS * 3


def test_a_failure_reaches_who_waits_and_troubles_nobody_else(resolver):
    complaints = []

    async def work():
        asyncio.get_running_loop().set_exception_handler(lambda _, what: complaints.append(what))
        asking = asyncio.create_task(look_up(resolver, "nobody"))
        await until(lambda: resolver.asked)
        asking.cancel()  # it fails with nobody waiting
        resolver.may_answer.set()
        with pytest.raises(socket.gaierror, match="no such name"):
            await look_up(resolver, "nobody")

    run(work())

    assert complaints == []


def test_what_can_be_no_name_of_a_host_is_one_that_nobody_knows():
    async def ask():
        await asyncio.get_running_loop().getaddrinfo(f"{'a' * 70}.example", 443)

    with pytest.raises(socket.gaierror) as caught:
        run(ask())

    assert caught.value.errno == socket.EAI_NONAME


def test_silence_ends(resolver, monkeypatch):
    monkeypatch.setattr(net_loop, "LOOKUP_TIMEOUT", Duration.parse("50ms"))

    with pytest.raises(socket.gaierror, match="no answer in time") as caught:
        run(look_up(resolver, "one"))

    assert caught.value.errno == socket.EAI_AGAIN


def test_without_a_thread_there_is_no_answer_and_the_next_question_is_another(
    resolver, monkeypatch
):
    def refuse(_):
        raise RuntimeError("can't start new thread")

    async def work():
        with monkeypatch.context() as exhausted:
            exhausted.setattr(threading.Thread, "start", refuse)
            for _ in range(MAX_LOOKUPS + 1):
                with pytest.raises(socket.gaierror, match="no thread"):
                    await look_up(resolver, "one")
        resolver.may_answer.set()
        return await look_up(resolver, "one")

    assert run(work()) == "address of one"


def test_an_answer_that_comes_after_the_end_is_no_complaint(resolver):
    async def work():
        asking = asyncio.create_task(look_up(resolver, "one"))
        await until(lambda: resolver.asked)
        asking.cancel()

    run(work())
    resolver.may_answer.set()

    for thread in threading.enumerate():
        if thread.name == "lookup":
            thread.join(20)  # what it raised would fail the test


def test_it_is_a_loop_of_asyncio():
    async def loop():
        return asyncio.get_running_loop()

    assert isinstance(run(loop()), EventLoop)


def test_garbage_is_collected_while_a_loop_runs():
    async def is_collected():
        return gc.isenabled()

    gc.disable()
    try:
        assert run(is_collected())
    finally:
        gc.enable()

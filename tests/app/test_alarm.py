"""An alarm wakes who waits, or who will."""

import asyncio

from monitor.app.alarm import Alarm


async def test_who_waits_is_woken_and_so_is_who_comes_later_until_it_is_cleared():
    alarm = Alarm()
    waiting = asyncio.create_task(alarm.wait(None))
    await asyncio.sleep(0)
    assert not waiting.done()

    alarm.set()
    alarm.set()
    await waiting
    await alarm.wait(None)

    alarm.clear()
    again = asyncio.create_task(alarm.wait(None))
    await asyncio.sleep(0)
    assert not again.done()
    again.cancel()


async def test_nobody_waits_longer_than_asked_for_nor_is_woken_by_a_wait_that_is_over():
    alarm = Alarm()
    await alarm.wait(0)
    alarm.clear()

    over = asyncio.create_task(alarm.wait(0.01))
    await asyncio.sleep(0)
    over.cancel()
    await asyncio.sleep(0.02)

    waiting = asyncio.create_task(alarm.wait(None))
    await asyncio.sleep(0)
    assert not waiting.done()
    alarm.set()
    await waiting

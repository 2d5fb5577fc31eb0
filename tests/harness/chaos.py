"""What befalls accounts, receivers and monitors, at random but for the seed."""

import asyncio
import random
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import cycle


@dataclass(frozen=True)
class Pace:
    """How often what happens, and for how long: spans of seconds, or the mean time between two."""

    trouble: float = 1.0
    lasts: tuple = (2, 180)
    faults: tuple = ("update", "freeze", "cut", "kill")
    fault: float = 12.0
    down: tuple = (0, 20)
    frozen: tuple = (5, 90)
    cut: tuple = (3, 60)
    receiver: float = 40.0
    moody: tuple = (5, 60)
    moods: tuple = ("failing", "silent", "away")
    clocks: tuple = (-30, 0, 30)
    older: tuple = (30, 120)
    """How long the last replica keeps an older configuration than the others."""


@dataclass
class Chaos:
    """Does it: each coroutine goes on until it is cancelled.

    One replica with the newest configuration is always left in peace.
    """

    api: object
    books: dict
    replicas: list
    pace: Pace
    moments: random.Random
    versions: int
    reloads: int = 0
    updates: int = 0
    moods: int = 0
    _busy: set = field(default_factory=set)
    _over: asyncio.Event = field(default_factory=asyncio.Event)

    @asynccontextmanager
    async def going_on(self):
        """Let all of it happen while the context is open; what is under way comes to its end."""
        async with self._endless(
            self._accounts, self._receivers, self._faults, self._configurations, self._read_log
        ):
            yield
        for replica in self.replicas:
            if replica.version < self.versions - 1:
                await self._roll_out(replica, self.versions - 1)

    def accounts_alone(self):
        """The same, but receivers and monitors are left in peace."""
        return self._endless(self._accounts)

    @asynccontextmanager
    async def _endless(self, *parts):
        async with asyncio.TaskGroup() as self._group:
            tasks = [self._group.create_task(part()) for part in parts]
            yield
            for task in tasks:
                task.cancel()
            self._over.set()

    async def _accounts(self):
        while True:
            await self._pause(self.pace.trouble)
            workspace, account = self.moments.choice(list(self.api.accounts))
            together = [key for key in self.api.accounts if key[0] == workspace]
            for key in together if self.moments.random() < 0.1 else [(workspace, account)]:
                self._group.create_task(self._trouble(key, self._some(self.pace.lasts)))

    async def _trouble(self, key, lasts):
        if self.api.is_well(*key):
            action = "freeze" if self.moments.random() < 0.2 else "sign_out"
            await self.api.trouble(action, *key)
            await self._some_time(lasts)
            await self.api.recover(*key)

    async def _receivers(self):
        while True:
            await self._pause(self.pace.receiver)
            book = self.moments.choice(list(self.books.values()))
            if book.mood == "well":
                self.moods += 1
                self._group.create_task(self._mood(book, self._some(self.pace.moody)))

    async def _mood(self, book, lasts):
        await book.become(self.moments.choice(self.pace.moods))
        await self._some_time(lasts)
        await book.become("well")

    async def _faults(self):
        for kind in cycle(self.pace.faults):
            await self._pause(self.pace.fault)
            while not (able := [each for each in self.replicas if self._may_be_disturbed(each)]):
                await asyncio.sleep(0.1)
            replica = self.moments.choice(able)
            self._busy.add(replica.name)
            self._group.create_task(self._fault(replica, FAULTS[kind]))

    async def _fault(self, replica, kind):
        try:
            await kind(self, replica)
        finally:
            self._busy.discard(replica.name)

    def _may_be_disturbed(self, replica):
        newest = max(other.version for other in self.replicas)
        return replica.name not in self._busy and any(
            other.version == newest and other is not replica and other.name not in self._busy
            for other in self.replicas
        )

    async def _kill(self, replica):
        await replica.kill()
        await self._some_time(self._some(self.pace.down))
        await replica.revive(clock=self._clock())

    async def _freeze(self, replica):
        replica.freeze()
        await self._some_time(self._some(self.pace.frozen))
        replica.thaw()

    async def _cut(self, replica):
        replica.cut()
        await self._some_time(self._some(self.pace.cut))
        replica.mend()

    async def _update(self, replica):
        await replica.stop()
        await replica.start(clock=self._clock())
        await replica.ready()
        self.updates += 1

    async def _read_log(self):
        while True:
            await asyncio.sleep(10)
            await self.api.read_log()  # which keeps so many and no more

    async def _configurations(self):
        """Roll out one version after the other; one replica is left behind for a while."""
        for version in range(1, self.versions):
            await asyncio.sleep(self._some(self.pace.older))
            order = self.moments.sample(self.replicas, len(self.replicas))
            for replica in order[:-1]:
                await self._roll_out(replica, version)
            await asyncio.sleep(self._some(self.pace.older))
            await self._roll_out(order[-1], version)

    async def _roll_out(self, replica, version):
        while replica.name in self._busy:
            await asyncio.sleep(0.1)
        self._busy.add(replica.name)
        try:
            await replica.reload(version)
            self.reloads += 1
        finally:
            self._busy.discard(replica.name)

    async def _some_time(self, seconds):
        """Wait so long, or until all is to be over."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._over.wait()

    def _clock(self):
        return self.moments.choice(self.pace.clocks)

    def _some(self, span):
        return self.moments.uniform(*span)

    async def _pause(self, mean):
        await asyncio.sleep(self.moments.uniform(0.5, 1.5) * mean)


FAULTS = {
    "update": Chaos._update,
    "freeze": Chaos._freeze,
    "cut": Chaos._cut,
    "kill": Chaos._kill,
}

"""The outbox at random: whatever happens to it, in the end everything is told, and told once.

FUZZ_EXAMPLES says how many runs, FUZZ_SEED which is the first: FUZZ_SEED=17 FUZZ_EXAMPLES=1 repeats
one. FUZZ_DATABASE=postgresql runs them there, and FUZZ_COMMIT=3 lets a commit take 3 ms.
"""

import asyncio
import logging
import os
import random
import time
from dataclasses import replace
from functools import partial

import pytest
import structlog
from harness.core import (
    HOUR,
    MINUTE,
    REJECTED,
    UNREACHABLE,
    frozen,
    listed_account,
    signed_out,
)
from harness.outbox import OutboxHarness
from harness.store import DAY, GONE, PARTLY, REFUSED, TIMEOUT, WRONG
from sqlalchemy import event, text

from monitor.core.duration import Duration
from monitor.core.errors import ApiError
from monitor.core.model import Cause, Session
from monitor.core.policy import Flapping
from monitor.core.route import Match, Route
from monitor.core.secret import Secret
from monitor.work import deliver

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "60"))
FIRST_SEED = int(os.environ.get("FUZZ_SEED", "0"))
DATABASE = os.environ.get("FUZZ_DATABASE", "sqlite")
COMMIT = float(os.environ.get("FUZZ_COMMIT", "0")) / 1000

STATUS = {
    "good": listed_account,
    "out": signed_out,
    "no link": partial(signed_out, link=""),
    "cold": frozen,
}
GROUPS = {"chat": True, "crm": False, "pager": False, "mail": True}
"""The receivers, and whether one message to them may hold many incidents."""

COLD = Match(causes=("frozen",))
WARM = Match(causes=("reconnection_required", "flapping"))
ROUTES = (
    (Route(match=COLD, to=("crm", "pager")), Route(to=("chat", "crm"))),
    (Route(to=("chat", "pager")),),
    (Route(match=COLD, to=("pager",)), Route(match=WARM, to=("chat",))),
)
MOODS = {
    "fine": [None],
    "moody": [None, None, None, REFUSED, TIMEOUT, WRONG],
    "down": [REFUSED, REFUSED, TIMEOUT],
    "to be mended": [GONE],
    "partly": [PARTLY, PARTLY, PARTLY, None, REFUSED, TIMEOUT],
}
"""How a receiver may answer for a while."""


@pytest.fixture(autouse=True)
def _quietly_and_in_no_hurry(monkeypatch):
    quiet = structlog.make_filtering_bound_logger(logging.CRITICAL)
    structlog.configure(wrapper_class=quiet)
    monkeypatch.setattr(deliver, "ENDING", DAY)


@pytest.fixture
def database_url(request, tmp_path):
    if DATABASE == "postgresql":
        return request.getfixturevalue("postgres_url")
    return f"sqlite:///{tmp_path}/monitor.db"


@pytest.mark.parametrize("seed", range(FIRST_SEED, FIRST_SEED + EXAMPLES))
async def test_in_the_end_everything_is_told_and_told_once(store, seed):
    if COMMIT:
        engine = store._writing._databases[0].engine
        event.listen(engine, "commit", lambda _: time.sleep(COMMIT))
    turmoil = Turmoil(store, random.Random(seed))
    for _ in range(turmoil.random.choice([20, 40, 60])):
        await turmoil.step()
    await turmoil.recover()
    turmoil.history.check()


LOOKING = "SELECT id FROM message WHERE waits = 'look'"

LEFT = "SELECT event || ' to ' || receiver FROM notification WHERE settled_at IS NULL"

OPEN = text("SELECT id, cause FROM incident WHERE resolved_at IS NULL")

HEARD = text("SELECT receiver FROM heard WHERE incident_id = :id")


class Api:
    """Linked API as far as it knows sessions: they end and fail at *random*."""

    def __init__(self, random):
        self._random = random

    async def get_connection_session(self, session_id):
        del session_id
        self._fail()
        return self._random.choice(["pending", "pending", "streaming", "expired"])

    async def create_reconnection_session(self, account_id):
        self._fail()
        link = f"https://app.linkedapi.io/connection/{account_id}{self._random.random()}"
        return Session(link.rpartition("/")[2], Secret(link))

    def _fail(self):
        if self._random.random() < 0.2:
            ambiguous = self._random.choice([False, True])
            raise ApiError("no answer", cause=Cause.UNREACHABLE, ambiguous=ambiguous)


class Turmoil(OutboxHarness):
    """A monitor to which *random* things happen."""

    def __init__(self, store, random):
        self.random = random
        choose = random.choice
        super().__init__(
            store,
            GROUPS,
            *ROUTES[0],
            fallback=choose([None, "mail", "mail", "chat", "crm"]),
            jitter=random.random(),
            api=Api(random),
            create=choose([False, True]),
            resolve_after=choose([1, 1, 2]),
            open_after=choose([1, 1, 2]),
            missing_after=2,
            missing_many_after=3,
            remind=(HOUR,),
            group_over=choose([1, 2, 5]),
            flapping=Flapping(changes=choose([4, 6]), settle=10 * MINUTE),
        )
        every = choose([20 * MINUTE, DAY])
        self.rules = replace(self.rules, next_due=lambda at: at + every)
        self.moods = dict.fromkeys(GROUPS, "fine")
        self.statuses = dict.fromkeys("abcd", "good")
        if random.random() < 0.02:
            self.fill()

    # ── what happens ─────────────────────────────────────────────────────────────────────────────

    async def step(self):
        steps = {
            self.poll_changes: 6,
            self.poll_again: 4,
            self.fail_poll: 1,
            self.begin_some: 10,
            self.end_some: 10,
            self.burst: 2,
            self.change_mood: 2,
            self.wait: 3,
            self.tick: 2,
            self.ask: 2,
            self.start_anew: 1,
            self.turn_clock_back: 0.5,
            self.suspend: 0.3,
            self.change_routes: 0.5,
            self.change_receivers: 1,
            self.look_at_queues: 1,
        }
        (step,) = self.random.choices(list(steps), list(steps.values()))
        result = step()
        if result is not None:
            await result
        self.check()

    def fill(self):
        """Queue more than is looked at in one go, and start anew."""
        self.statuses = {f"a{number}": "good" for number in range(120)}
        self.poll_again()
        self.statuses |= dict.fromkeys(list(self.statuses)[1:], "cold")
        self.poll_again()
        self.restart()

    def poll_changes(self):
        accounts = list(self.statuses)[1:]  # of an empty list nobody would believe a thing
        for account in self.random.sample(accounts, self.random.randint(0, 3)):
            self.statuses[account] = self.random.choice([*STATUS, "gone"])
        self.poll_again()

    def poll_again(self, after=MINUTE):
        listed = [STATUS[now](id_) for id_, now in self.statuses.items() if now != "gone"]
        self.poll(*listed, after=after)
        assert self.column(LOOKING) == []

    def fail_poll(self):
        self.observe(self.random.choice([UNREACHABLE, REJECTED]))

    async def begin_some(self):
        await self.begin(self.random.choice(sorted(self.present)))

    async def end_some(self):
        if self.sends:
            await self.answer(self.random.choice(self.sends))

    async def burst(self):
        """Let everything happen at once that may."""
        sends, looking = list(self.sends), sorted(self.present)
        self.random.shuffle(looking)
        await asyncio.gather(
            *map(self.begin, looking), *map(self.answer, sends), self.tick(), self.look_at_queues()
        )

    async def answer(self, send):
        """Let the receiver of a send answer as its mood is."""
        mood = self.moods[send.claimed.message.receiver]
        await self.end(send, self.random.choice(MOODS[mood]))

    def change_mood(self):
        self.moods[self.random.choice(list(GROUPS))] = self.random.choice(list(MOODS))

    def wait(self):
        self.now += self.random.choice([Duration.parse("1s"), Duration.parse("12s"), MINUTE, HOUR])

    async def start_anew(self):
        """Crash, stop in order, or lose the claims to others while the sends go on."""
        how = self.random.choice(["crash", "crash", "stop", "lose"])
        if how == "crash":
            await self.kill()
        elif how == "stop":
            await self.stop()
        if self.random.random() < 0.5:
            self.follow(self.new_id())
            self.now -= self.random.choice([0, 0, MINUTE])  # by its own clock
        self.restart()

    async def turn_clock_back(self):
        await self.step_clock(self.random.choice([MINUTE, 2 * HOUR]))

    def suspend(self):
        self.now += 2 * HOUR
        self.forget_looks()

    def change_routes(self):
        self.routes = self.random.choice(ROUTES)
        self.configure()

    def change_receivers(self):
        self.present ^= {self.random.choice(["crm", "pager"])}
        self.configure()

    async def recover(self):
        """Let everything work again, and all be told."""
        self.present = set(GROUPS)
        self.moods = dict.fromkeys(GROUPS, "fine")
        for send in list(self.sends):
            await self.end(send)
        self.configure()
        for account, status in self.statuses.items():
            self.statuses[account] = "good" if status == "gone" else status
        await self.pass_time(2 * HOUR)
        assert self.column(LEFT) == []
        for incident_id, cause in self.run(lambda tx: tx.execute(OPEN).all()):
            heard = self.run(
                lambda tx, id_=incident_id: tx.execute(HEARD, {"id": id_}).scalars().all()
            )
            assert set(self.routed(cause)) <= set(heard)
        self.statuses = dict.fromkeys(self.statuses, "good")
        await self.pass_time(HOUR)
        assert self.column(LEFT) == []
        assert self.run(lambda tx: tx.execute(OPEN).all()) == []

    def routed(self, cause):
        for route in self.routes:
            if not route.match.causes or cause in route.match.causes:
                return route.to
        return [self.fallback] if self.fallback else []

    async def pass_time(self, span):
        """Let the time pass, with polls and all that a monitor does."""
        end = self.now + span
        while self.now < end:
            self.poll_again()
            await self.tick()
            await self.look_at_queues()
            for _ in range(40):
                self.now += MINUTE // 2
                await self.ask()
                await self.deliver_due()
            self.check()

"""The simulated Linked API in a process of its own, where accounts sign out, freeze and recover."""

import asyncio
import time
from collections import defaultdict
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

import httpx

from harness.program import answers, free_port, program

LOOK = "accounts.getAll"


@dataclass
class Trouble:
    """A span in which an account is not active; *until* is None while it lasts."""

    workspace: str
    account: str
    since: float
    until: float | None = None


class LinkedApi:
    """The simulator, as it is controlled, and its books: troubles, and looks at workspaces."""

    def __init__(self, control, address):
        self.address = address
        self.accounts = {}
        self.troubles = []
        self.looks = defaultdict(list)
        self._control = control
        self._current = {}
        self._latest = 0

    async def add(self, workspaces, accounts):
        """Add so many customers w0, w1, …, each with accounts a0, a1, …"""
        for number in range(workspaces):
            name = f"w{number}"
            await self._do("add_customer", name=name, token=f"linked_{number}")
            for which in range(accounts):
                account = await self._do("add_account", customer=name, name=f"{name} a{which}")
                self.accounts[name, account["id"]] = account["name"]

    def is_well(self, workspace, account):
        return (workspace, account) not in self._current

    async def trouble(self, action, workspace, account):
        """Let an account sign out or freeze."""
        trouble = self._current[workspace, account] = Trouble(workspace, account, now())
        self.troubles.append(trouble)
        await self._do(action, customer=workspace, account=account)

    async def recover(self, workspace, account):
        await self._do("recover", customer=workspace, account=account)
        self._current.pop((workspace, account)).until = now()

    async def read_log(self):
        """Add the latest looks to the books."""
        response = await self._control.get("/requests", params={"since": self._latest})
        for request in response.json()["result"]["requests"]:
            self._latest = request["n"]
            if request["method"] == LOOK and request["status"] == 200:
                at = datetime.fromisoformat(request["at"]).timestamp()
                self.looks[request["customer"]].append(at)

    async def until_looked(self, *, since, within):
        """Wait until each workspace has been looked at later than *since*."""
        workspaces = {workspace for workspace, _ in self.accounts}
        async with asyncio.timeout(within):
            while any(max(self.looks[each], default=0) < since for each in workspaces):
                await asyncio.sleep(1)
                await self.read_log()

    def gaps(self, since=0.0):
        """The spans between two looks, the later one after *since*: (span, workspace)."""
        return [
            (after - before, workspace)
            for workspace, looks in self.looks.items()
            for before, after in pairwise(looks)
            if after >= since
        ]

    def longest_gap(self, workspace, since, until):
        """The longest span without a look at *workspace* that begins or ends in this time."""
        looks = pairwise([*self.looks[workspace], now()])
        return max(
            (after - before for before, after in looks if before <= until and after >= since),
            default=0.0,
        )

    async def _do(self, action, **parameters):
        response = await self._control.post(f"/{action}", json=parameters)
        assert response.is_success, response.text
        return response.json()["result"]


def now():
    """The time as the simulator has it."""
    return time.time()  # noqa: TID251 - that of this machine


@asynccontextmanager
async def linked_api(folder):
    """Run a simulator without customers of its own that matter."""
    port = free_port()
    arguments = ("simulate", "--port", str(port), "--accounts", "0")
    address = f"http://127.0.0.1:{port}"
    async with (
        program(*arguments, log=folder / "simulate.log"),
        httpx.AsyncClient(base_url=f"{address}/control", trust_env=False, timeout=30) as control,
    ):
        await answers(f"{address}/control/state")
        simulated = LinkedApi(control, address)
        yield simulated

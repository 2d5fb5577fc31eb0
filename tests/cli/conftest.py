"""Commands run in this process, against a simulated API that runs in a thread of its own."""

import asyncio
import json
import threading
from dataclasses import dataclass

import pytest
from harness.core import frozen, listed_account, signed_out
from harness.store import StoreHarness

from monitor.cli import commands
from monitor.simulator import Simulator, serve
from monitor.store.db import Store

TOKEN = "linked_test_token"


@pytest.fixture
def api():
    """A simulated API with one customer; gives the simulator and its address."""
    simulator = Simulator(seed=3)
    simulator.add_customer("acme", TOKEN)
    started, over, address = threading.Event(), [], []

    async def main():
        stop = asyncio.Event()
        over.append((asyncio.get_running_loop(), stop))
        async with serve(simulator) as url:
            address.append(url)
            started.set()
            await stop.wait()

    thread = threading.Thread(target=asyncio.run, args=(main(),))
    thread.start()
    assert started.wait(10)
    yield simulator, address[0]
    loop, stop = over[0]
    loop.call_soon_threadsafe(stop.set)
    thread.join()


@pytest.fixture
def configured(tmp_path):
    """Write a configuration over what matters to the test; return its path."""

    def write(api="http://127.0.0.1:9", more=""):
        file = tmp_path / "config.yaml"
        file.write_text(
            f"workspaces: [{{name: acme, token: {TOKEN}}}]\n"
            f"linked_api: {{base_url: '{api}', timeout: 5s}}\n"
            f"storage: {{url: 'sqlite:///{tmp_path}/monitor.db'}}\n{more}\n"
        )
        return str(file)

    return write


@dataclass
class Ran:
    """What a command came to."""

    code: int
    out: str
    err: str

    @property
    def data(self):
        answer = json.loads(self.out)
        assert answer["success"] is True
        return answer["data"]


@pytest.fixture
def run(capsys):
    """Run a command as a shell would."""

    def run(*arguments):
        with pytest.raises(SystemExit) as ended:
            commands.main(arguments)
        shown = capsys.readouterr()
        return Ran(int(ended.value.code or 0), shown.out, shown.err)

    return run


@pytest.fixture
def recorded(tmp_path):
    """A database with a healthy, a frozen and a signed-out account, and one delivery."""
    store = Store.open(f"sqlite:///{tmp_path}/monitor.db")
    harness = StoreHarness(store)
    harness.poll(listed_account("ok"), listed_account("cold"), listed_account("out"))
    harness.poll(listed_account("ok"), frozen("cold"), signed_out("out"))
    harness.deliver()
    store.close()
    return harness

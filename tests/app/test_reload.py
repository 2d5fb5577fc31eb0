"""Reading the configuration again: what is announced, refused and said."""

import pytest
import structlog

from monitor import config
from monitor.app.reload import Reloader
from monitor.core.errors import MonitorError


class ReloadHarness:
    """Reads one text after the other and remembers what became of it."""

    def __init__(self, folder, *texts):
        self.folder = folder
        self.announced = []
        self.adopted = []
        self.refusal = None
        self.texts = list(texts)
        first = self.read()
        self.reloader = Reloader(first, load=self.read, on_load=self.on_load, adopt=self.adopt)

    def read(self):
        file = self.folder / "config.yaml"
        file.write_text(self.texts.pop(0))
        return config.load(file, {})

    def on_load(self, found, secrets):
        self.announced.append((found.workspaces[0].name, {one.reveal() for one in secrets}))

    async def adopt(self, found):
        if self.refusal is not None:
            raise self.refusal
        self.adopted.append(found.workspaces[0].name)


def text(name, token, more=""):
    return f"workspaces: [{{name: {name}, token: {token}}}]\n{more}"


@pytest.fixture
def said():
    with structlog.testing.capture_logs() as captured:
        yield captured


async def test_what_is_right_is_announced_with_all_secrets_so_far_and_taken_up(tmp_path, said):
    office = ReloadHarness(tmp_path, text("a", "token-one"), text("b", "token-two"))

    assert await office.reloader.reload()

    assert office.announced == [("b", {"token-one", "token-two"})]
    assert office.adopted == ["b"]
    assert said[-1]["event"] == "configuration reloaded"


async def test_every_problem_of_a_wrong_file_is_a_line_and_nothing_is_taken_up(tmp_path, said):
    office = ReloadHarness(
        tmp_path, text("a", "token-one"), text("b", "token-two", "pol: {}\nwb: {}")
    )

    assert not await office.reloader.reload()

    problems = [one["problem"] for one in said if one["event"] == "configuration is wrong"]
    assert [one.partition(": ")[2] for one in problems] == [
        "pol: unknown key; did you mean poll?",
        "wb: unknown key; did you mean web?",
    ]
    assert said[-1]["event"] == "the old configuration stays in force"
    assert office.adopted == []


@pytest.mark.parametrize("refusal", [MonitorError("no room"), RuntimeError("a bug")])
async def test_what_cannot_be_taken_up_leaves_the_log_as_the_old_one_wants_it(
    tmp_path, said, refusal
):
    office = ReloadHarness(tmp_path, text("a", "token-one"), text("b", "token-two"))
    office.refusal = refusal

    assert not await office.reloader.reload()

    assert [name for name, _ in office.announced] == ["b", "a"]
    assert office.announced[-1][1] == {"token-one", "token-two"}
    assert said[-1]["event"] == "the old configuration stays in force"


async def test_what_needs_a_restart_is_said_as_long_as_it_is_so(tmp_path, said):
    moved = "web: {listen: '127.0.0.1:1'}\nstorage: {url: 'sqlite:///x.db'}"
    first, other = text("a", "one-token"), text("a", "one-token", moved)
    office = ReloadHarness(tmp_path, first, other, other, first)

    counts = []
    for _ in range(3):
        assert await office.reloader.reload()
        counts.append(sum(one["event"] == "a change that needs a restart" for one in said))

    assert counts == [2, 4, 4]

"""The configuration, read again: what is announced, applied, refused and logged."""

import pytest

from monitor import config
from monitor.app.reload import Reloader
from monitor.core.errors import MonitorError


class ReloadHarness:
    """Reads one text after the other as a configuration; *refusal* is raised when it is applied."""

    def __init__(self, folder, *texts, refusal=None):
        self.file = folder / "config.yaml"
        self.loaded = []
        self.applied = []
        self.refusal = refusal
        self.texts = list(texts)
        first = self.load()
        reloader = Reloader(
            first, load=self.load, on_load=self.on_load, apply=self.apply, monotonic=lambda: 0
        )
        self.reload = reloader.reload

    def load(self):
        self.file.write_text(self.texts.pop(0))
        return config.load(self.file, {"LINKED_API_TOKEN": "token-one"})

    def on_load(self, loaded, secrets):
        self.loaded.append((loaded.workspaces[0].name, {secret.reveal() for secret in secrets}))

    async def apply(self, loaded):
        if self.refusal is not None:
            raise self.refusal
        self.applied.append(loaded.workspaces[0].name)


def text(name, token, more=""):
    return f"workspaces: [{{name: {name}, token: {token}}}]\n{more}"


OLD, NEW = text("a", "token-one"), text("b", "token-two")


async def test_problems_without_number_are_a_few_lines_and_their_number(tmp_path, logs):
    wrong = "".join(f"key{number}: 1\n" for number in range(60))
    harness = ReloadHarness(tmp_path, OLD, text("b", "token-two", wrong))

    assert not await harness.reload()

    assert len([entry for entry in logs if entry["event"] == "invalid configuration"]) == 50
    assert logs[-1]["problems"] == 60


async def test_what_is_right_is_announced_with_all_secrets_so_far_and_applied(tmp_path, logs):
    harness = ReloadHarness(tmp_path, OLD, NEW)

    assert await harness.reload()

    assert harness.loaded == [("b", {"token-one", "token-two"})]
    assert harness.applied == ["b"]
    assert logs[-1]["event"] == "configuration reloaded"


async def test_every_problem_of_a_wrong_file_is_a_line_and_nothing_is_applied(tmp_path, logs):
    harness = ReloadHarness(tmp_path, OLD, text("b", "token-two", "pol: {}\nwb: {}"))

    assert not await harness.reload()

    problems = [entry["problem"] for entry in logs if entry["event"] == "invalid configuration"]
    assert [problem.partition(": ")[2] for problem in problems] == [
        "pol: unknown key; did you mean poll?",
        "wb: unknown key; did you mean web?",
    ]
    assert logs[-1]["event"] == "reload failed; the old configuration stays in force"
    assert harness.applied == []


async def test_a_file_that_was_cut_off_is_refused_until_it_is_whole(tmp_path, logs):
    harness = ReloadHarness(tmp_path, OLD, "", NEW)

    assert not await harness.reload()
    assert "is empty now" in logs[-2]["problem"]
    assert harness.applied == []
    assert await harness.reload()


@pytest.mark.parametrize("refusal", [MonitorError("no room"), RuntimeError("a bug")])
async def test_what_cannot_be_applied_leaves_the_log_as_the_old_one_wants_it(
    tmp_path, logs, refusal
):
    harness = ReloadHarness(tmp_path, OLD, NEW, refusal=refusal)

    assert not await harness.reload()

    assert [name for name, _ in harness.loaded] == ["b", "a"]
    assert harness.loaded[-1][1] == {"token-one", "token-two"}
    assert logs[-1]["event"] == "reload failed; the old configuration stays in force"


async def test_what_needs_a_restart_is_logged_as_long_as_it_does(tmp_path, logs):
    moved = OLD + "web: {listen: '127.0.0.1:1'}\nstorage: {url: 'sqlite:///x.db'}"
    harness = ReloadHarness(tmp_path, OLD, moved, moved, OLD)

    counts = []
    for _ in range(3):
        assert await harness.reload()
        counts.append(sum(entry["event"] == "setting needs a restart" for entry in logs))

    assert counts == [2, 4, 4]

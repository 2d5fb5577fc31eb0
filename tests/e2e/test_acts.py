"""What people do at another terminal while a monitor runs: real processes, one database."""

from contextlib import asynccontextmanager

from harness.program import program, until
from harness.running_monitor import install, simulated

NAME = "Zebulon Quagga"


@asynccontextmanager
async def running(folder, simulator, *, more=""):
    async with install(folder, simulator, more=more) as installation:
        async with installation.run() as monitor:
            await monitor.until_logged("first look")
            yield installation
            assert await monitor.stop() == 0
        assert "Traceback" not in monitor.output()


async def typed(installation, *arguments):
    """Type a command at another terminal; return the rows that it answers with."""
    log = installation.file.with_name("typed.log")
    log.unlink(missing_ok=True)
    async with program(*arguments, "-c", str(installation.file), log=log) as command:
        assert await command.ended() == 0, command.output()
    (answer,) = (line for line in command.lines() if line.get("success"))
    return answer["data"]


def events(installation, kind):
    """What the webhook was told of this *kind*."""
    return [it for it in installation.hook.events if it["type"] == f"incident.{kind}"]


async def until_told(installation, kind, count=1):
    await installation.hook.wait(lambda: len(events(installation, kind)) >= count)


async def until_polled(installation, times):
    """Wait for so many polls more."""
    simulator = installation.simulator
    count = len(simulator.requests) + times
    await until(lambda: len(simulator.requests) >= count)


async def test_nobody_is_reminded_of_what_somebody_has_and_its_end_says_who_had_it(tmp_path):
    simulator = simulated()
    id_, _ = simulator.customer("acme").accounts
    async with running(tmp_path, simulator, more="incidents: {remind: [2s]}") as installation:
        simulator.sign_out("acme", id_)
        await until_told(installation, "reminded", 2)

        (row,) = await typed(installation, "ack", id_, "--by", "Ann", "--reason", "on the phone")

        await until_told(installation, "acknowledged")
        reminded = len(events(installation, "reminded"))
        await until_polled(installation, 6)
        assert len(events(installation, "reminded")) <= reminded
        simulator.recover("acme", id_)
        await until_told(installation, "resolved")
        (resolved,) = events(installation, "resolved")
        assert resolved["data"]["incident"]["acknowledged_by"] == row["acknowledged_by"] == "Ann"
        shown = await typed(installation, "incidents", "show", id_)
        assert [(act["act"], act["reason"]) for act in shown["acts"]] == [("ack", "on the phone")]


async def test_one_command_takes_over_all_that_froze(tmp_path):
    simulator = simulated(40)
    async with running(tmp_path, simulator) as installation:
        simulator.freeze("acme", "*")
        await until_told(installation, "opened", 40)

        rows = await typed(installation, "ack", "--workspace", "acme", "--cause", "frozen")

        assert len({row["account_id"] for row in rows}) == 40
        await until_told(installation, "acknowledged", 40)
        listed = await typed(installation, "incidents")
        assert all(row["acknowledged_by"] for row in listed)


async def test_a_mute_holds_the_next_sign_out_and_its_end_tells_it(tmp_path):
    simulator = simulated()
    first, second = simulator.customer("acme").accounts
    async with running(tmp_path, simulator) as installation:
        (mute,) = await typed(installation, "mute", "add", "--scope", "account", "--for", "1h")
        simulator.sign_out("acme", first)
        await until_polled(installation, 4)
        assert installation.hook.events == []
        shown = await typed(installation, "incidents", "show", first)
        assert shown["events"][0]["untold"] == ["chat: muted", "crm: muted"]

        await typed(installation, "mute", "end", mute["id"])

        await until_told(installation, "opened")
        simulator.sign_out("acme", second)
        await until_told(installation, "opened", 2)


async def test_a_link_that_somebody_wants_is_asked_for_and_told(tmp_path):
    simulator = simulated()
    id_, _ = simulator.customer("acme").accounts
    simulator.sign_out("acme", id_)
    simulator.patch("acme", id_, without=["reconnectionLink", "reconnectionSessionId"])
    never = "reconnection: {create: never}"
    async with running(tmp_path, simulator, more=never) as installation:
        await until_told(installation, "opened")

        (row,) = await typed(installation, "reconnect", id_, "--show-links", "--by", "Ann")

        assert row["outcome"] == "created"
        assert row["link"] == simulator.customer("acme").accounts[id_].active_session().link
        await until_told(installation, "refreshed")


async def test_what_a_receiver_refused_is_tried_again_at_once(tmp_path):
    simulator = simulated()
    async with running(tmp_path, simulator) as installation:
        installation.hook.status = 500
        simulator.sign_out("acme", "*")
        await until_told(installation, "opened", 4)  # the next attempts are far enough
        installation.hook.status = 200

        rows = await typed(installation, "deliveries", "retry", "--workspace", "acme")

        assert {row["state"] for row in rows} == {"delivered"}


async def test_who_is_forgotten_is_in_no_file_of_the_database_any_more(tmp_path):
    simulator = simulated(4)
    id_, *_ = simulator.customer("acme").accounts
    simulator.rename("acme", id_, NAME)

    def traces():
        files = tmp_path.glob("monitor.db*")
        return {(file.name, word) for file in files for word in words if word in file.read_bytes()}

    words = (id_.encode(), NAME.encode())
    async with running(tmp_path, simulator) as installation:
        simulator.sign_out("acme", id_)
        await until_told(installation, "opened")
        simulator.remove("acme", id_)
        await until_told(installation, "resolved")
        await until(lambda: len(installation.hook.slack) == 2)
        assert traces()

        (row,) = await typed(installation, "forget", NAME, "--by", "Ann")

        assert row["erased_as"].startswith("erased-")
        await until_polled(installation, 3)
        assert traces() == set()

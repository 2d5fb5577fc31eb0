"""Let a fleet live through everything for some minutes and draw the dashboards of it.

PYTHONPATH=.:tests python tests/deploy/story.py [MINUTES] makes docs/dashboard-*.png anew.
"""

import asyncio
import sys
import tempfile
from pathlib import Path

from observatory import observatory

from deploy.grafana.picture import draw

DOCS = Path(__file__).parents[2] / "docs"
SCRAPE = 2

FLEET = {
    "acme": (
        *("Jane Doe", "John Smith", "Ana García", "Li Wei", "Noor Haddad", "Tom Müller"),
        *("Dana Doe", "Carla Tanaka", "Chen Jansen", "Ivo Novak", "Mia Rossi", "Sam Okafor"),
    ),
    "globex": ("Ada Byron", "Ben Cohen", "Eva Lind", "Finn Olsen", "Gita Rao", "Hugo Silva"),
    "initech": ("Ines Moreau", "Jonas Weber", "Kim Park", "Lena Fischer"),
}

ACCOUNTS = (
    # at which part of the time, what, in which workspace, to whom
    (0.06, "sign_out", "acme", "Jane Doe"),
    (0.10, "freeze", "globex", "Ben Cohen"),
    (0.14, "recover", "acme", "Jane Doe"),
    (0.18, "sign_out", "initech", "Kim Park"),
    (0.22, "sign_out", "acme", "Li Wei"),
    (0.27, "sign_out", "globex", "Eva Lind"),
    (0.42, "recover", "initech", "Kim Park"),
    (0.44, "recover", "globex", "Ben Cohen"),
    *((0.47, "freeze", "acme", name) for name in FLEET["acme"][6:11]),
    (0.52, "recover", "acme", "Li Wei"),
    *((0.60, "recover", "acme", name) for name in FLEET["acme"][6:11]),
    (0.66, "sign_out", "acme", "Tom Müller"),
    (0.70, "sign_out", "globex", "Gita Rao"),
    (0.76, "recover", "globex", "Eva Lind"),
    (0.80, "freeze", "acme", "Sam Okafor"),
    (0.85, "sign_out", "acme", "Noor Haddad"),
    (0.90, "recover", "globex", "Gita Rao"),
    (0.94, "sign_out", "globex", "Hugo Silva"),
)


async def slow(around):
    """Let Linked API take its time, as the real one does."""
    await around.control.post("/clear_faults", json={})
    for workspace, delay in (("acme", 0.35), ("globex", 0.2), ("initech", 0.6)):
        await around.act("add_fault", workspace, kind="delay", delay=delay)


async def outage(around):
    await around.control.post("/clear_faults", json={})
    await around.act("add_fault", None, kind="respond", status=503)


async def chat_fails(around):
    around.chat.status = 500


async def chat_is_gone(around):
    around.chat.status = 404


async def chat_works(around):
    around.chat.status = 200


async def unknown(around):
    await around.act("patch", account="Ana García", fields={"status": "limited"})


async def links_missing(around):
    await around.control.post("/tune", json={"get_all_creates_sessions": False})


async def revoked(around):
    await around.act("set_token", "initech", token="linked_rotated")


EVENTS = (
    (0.0, slow),
    (0.31, outage),
    (0.38, slow),
    (0.46, chat_fails),
    (0.56, chat_works),
    (0.25, links_missing),
    (0.63, unknown),
    (0.73, revoked),
    (0.79, chat_is_gone),
    (0.83, chat_works),
)


async def play(around, seconds):
    """Let everything happen within so many *seconds*."""
    loop = asyncio.get_running_loop()
    began = loop.time()

    async def one(at, act):
        await asyncio.sleep(max(0.0, began + at * seconds - loop.time()))
        await act(around)

    def told(action, workspace, name):
        return lambda around: around.act(action, workspace, account=name)

    story = [*EVENTS, *((at, told(*what)) for at, *what in ACCOUNTS)]
    for at, act in sorted(story, key=lambda step: step[0]):
        await one(at, act)
    await asyncio.sleep(max(0.0, began + seconds - loop.time()))


async def main(minutes):
    with tempfile.TemporaryDirectory() as folder:
        async with observatory(Path(folder), scrape=SCRAPE, every=2, blind_after=20) as around:
            around.own.delay, around.chat.delay = 0.15, 0.4
            for workspace, names in FLEET.items():
                for name in names:
                    await around.act("add_account", workspace, name=name)
            await play(around, minutes * 60)
            prometheus = str(around.prometheus.base_url)
            await asyncio.to_thread(draw, prometheus, around.span(), DOCS)


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1]) if len(sys.argv) > 1 else 12.0))

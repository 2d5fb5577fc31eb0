"""A real browser, and what it shows of a page that may load nothing."""

import contextlib
import importlib.util
import os
import shutil
from pathlib import Path

CHROMIUM = shutil.which("chromium")
FLAGS = (
    *("--disable-gpu", "--disable-quic", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--no-first-run"),
)
LOOK = Path(__file__).with_name("look.js").read_text(encoding="utf-8")

SCREENS = {320: 460, 390: 640, 800: 600}
"""Widths of a small phone, a phone and a window, and the heights that a mail program leaves."""

SCHEMES = ("light", "dark")


def missing_program():
    """Return which of the programs is not installed, if any."""
    if CHROMIUM is None:
        return "chromium"
    return "" if importlib.util.find_spec("playwright") else "playwright (`make pictures`)"


@contextlib.asynccontextmanager
async def open_page():
    """Start a browser and yield its only page, a `Page`."""
    from playwright.async_api import async_playwright  # noqa: PLC0415 - not everybody has it

    flags = [*FLAGS, *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    async with (
        async_playwright() as playwright,
        await playwright.chromium.launch(executable_path=CHROMIUM, args=flags) as browser,
        await browser.new_page() as page,
    ):
        yield await Page.open(page)


class Page:
    """A page that shows HTML and loads nothing: *requests* are what it tried to."""

    def __init__(self, page):
        self._page = page
        self.requests = []

    @classmethod
    async def open(cls, page):
        """Keep *page* from the network."""
        self = cls(page)

        async def refuse(route):
            self.requests.append(route.request.url)
            await route.abort()

        await page.route("**/*", refuse)
        return self

    async def show(self, html):
        """Show *html* in place of what was there."""
        self.requests.clear()
        await self._page.set_content(html)

    async def look(self, width, scheme="light", picture=None):
        """Return what is wrong, line by line, on a screen of *width*; *picture* is a file to draw.

        Wrong is what `look.js` says.
        """
        await self._page.set_viewport_size({"width": width, "height": SCREENS[width]})
        await self._page.emulate_media(color_scheme=scheme)
        if picture:
            await self._page.screenshot(path=picture, full_page=True)
        return await self._page.evaluate(LOOK)

"""A real browser without a window, for tests of pages; where there is none, tests that ask for it
are skipped and say why.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
MISSING = "no browser: pip install 'spikeport[browser]', and install Chromium (apt-get install chromium, or playwright install chromium)"

LOOK = """() => {
    const wide = document.documentElement.clientWidth;
    const scrolls = (node) => node && (getComputedStyle(node).overflowX === 'auto' || scrolls(node.parentElement));
    const over = [...document.querySelectorAll('body *')].filter((node) => {
        const box = node.getBoundingClientRect();
        return box.width > 0 && box.right > wide + 1 && !scrolls(node.parentElement) && !node.closest('thead');
    });
    return {
        overflow: document.documentElement.scrollWidth - wide,
        over: over.slice(0, 5).map((node) => node.outerHTML.slice(0, 120)),
        colour: getComputedStyle(document.body).backgroundColor,
    };
}"""
"""What reaches beyond the page, but for what a box of its own scrolls; and the colour of the
ground.
"""


@contextmanager
def opened_browser() -> Iterator[Any]:
    """Chromium: the one that is installed, or playwright's own."""
    api = pytest.importorskip("playwright.sync_api", reason=MISSING)
    with api.sync_playwright() as playwright:
        place = next((found for name in NAMES if (found := shutil.which(name))), None)
        # Its sandbox starts for no root, as whom containers run tests.
        safe = [] if os.getuid() else ["--no-sandbox"]
        try:
            browser = playwright.chromium.launch(executable_path=place, args=safe)
        except api.Error as error:
            pytest.skip(f"{MISSING} ({str(error).splitlines()[0]:.200})")
        yield browser
        browser.close()


@contextmanager
def looked_at(browser: Any, path: Path, width: int = 1440, scheme: str = "light") -> Iterator[tuple[Any, list[str]]]:
    """A page in a window of this width, and what the console, and requests that fail, said of it."""
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page, said = context.new_page(), []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: None if request.url.startswith(("file:", "data:")) else said.append(f"asks for {request.url}"))
    page.on("requestfailed", lambda request: said.append(f"failed: {request.url}"))
    page.goto(path.as_uri())
    yield page, said
    context.close()

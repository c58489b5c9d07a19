"""A real browser for the tests of pages: Debian's Chromium, driven by Playwright."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

PATIENCE_MS = 240_000
SCREENSHOTS = Path("browser-screenshots")  # of what failed, below the folder that pytest was started in

_VARIABLE = "HEADGATE_TEST_CHROMIUM"
_NAMES = ("chromium", "chromium-browser", "google-chrome")
_FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless Chromium for the tests of a file: while Playwright runs, so does its event loop in this thread."""
    program = os.environ.get(_VARIABLE) or next(filter(None, map(shutil.which, _NAMES)), None)
    if program is None:
        pytest.fail(f"There is no Chromium. Install it: apt-get install chromium; or name one in {_VARIABLE}.")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=list(_FLAGS), headless=True)
        yield chromium
        chromium.close()


@contextmanager
def window(
    browser: Browser, request: pytest.FixtureRequest, cookies: tuple[dict[str, str], ...] = ()
) -> Iterator[Page]:
    """A window of a test's own; a test that fails leaves a picture of it."""
    context = browser.new_context(viewport={"width": 1440, "height": 1000}, locale="en-GB", timezone_id="UTC")
    context.set_default_timeout(PATIENCE_MS)
    if cookies:
        context.add_cookies(list(cookies))  # type: ignore[arg-type]
    page = context.new_page()
    failed_before = request.session.testsfailed
    yield page
    if request.session.testsfailed > failed_before:
        SCREENSHOTS.mkdir(exist_ok=True)
        name = re.sub(r"\W+", "-", request.node.name)
        page.screenshot(path=SCREENSHOTS / f"{name}.png")
    context.close()

"""A real browser, signed in to the tests' Airflow."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.chromium import PATIENCE_MS as PATIENCE_MS
from tests.chromium import browser as browser
from tests.chromium import window

if TYPE_CHECKING:
    from playwright.sync_api import Browser, FrameLocator, Page

    from tests.plugin.airflow.standalone import Standalone


@pytest.fixture
def page(browser: Browser, standalone: Standalone, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A window of its own, signed in as ``admin``; a test that fails leaves a picture of it."""
    cookie = {"name": "_token", "value": standalone.token(), "url": standalone.url}
    with window(browser, request, (cookie,)) as page:
        yield page


def tab(window: Page) -> FrameLocator:
    """Return the frame in which Airflow shows Headgate's page."""
    return window.frame_locator('iframe[title="Headgate"]')

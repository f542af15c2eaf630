"""Headless Chromium without background network traffic, and a record of what it requested."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, ConsoleMessage, Dialog, Page, Playwright, Request, expect

from tests.waiting import BOUND

_QUIET = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
expect.set_options(timeout=BOUND * 1000)
# Chromium's message for a page that was refused on purpose.
_REFUSED = "Failed to load resource: the server responded with a status of 4"


def chromium(playwright: Playwright) -> Browser:
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert path, "the browser tests need Chromium: apt-get install chromium"
    return playwright.chromium.launch(executable_path=path, headless=True, args=list(_QUIET))


class Person:
    """A visitor of the pages. Asserts that no foreign script runs and no other host is contacted."""

    def __init__(self, browser: Browser, url: str, **options: Any) -> None:
        self.url, self.host = url, urlsplit(url).netloc
        self.wrong: list[str] = []
        self.context = browser.new_context(base_url=url, **{"locale": "en-GB", **options})
        self.context.set_default_timeout(BOUND * 1000)
        self.page: Page = self.context.new_page()
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self.wrong.append(f"error: {error}"))
        self.page.on("dialog", self._asked)
        self.context.on("requestfinished", self._requested)
        self.context.on("requestfailed", self._requested)

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not message.text.startswith(_REFUSED):
            self.wrong.append(f"console: {message.text}")

    def _asked(self, dialog: Dialog) -> None:
        self.wrong.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _requested(self, request: Request) -> None:
        # A request blocked by the page's CSP is reported as failed, but was never sent.
        if urlsplit(request.url).netloc != self.host and request.failure != "csp":
            self.wrong.append(f"request: {request.url} {request.failure}")


@contextmanager
def looking(browser: Browser, url: str, **options: Any) -> Iterator[Person]:
    person = Person(browser, url, **options)
    yield person
    person.context.close()
    assert person.wrong == [], person.wrong

"""Chromium, without a window, and without anything that it does by itself on a network."""

import shutil

from playwright.sync_api import Browser, Playwright

_QUIET = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)


def chromium(playwright: Playwright) -> Browser:
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert path, "the browser tests need Chromium: apt-get install chromium"
    return playwright.chromium.launch(executable_path=path, headless=True, args=list(_QUIET))

"""Make the pictures of the live page, docs/images/studio*.png, in the system's Chromium.

Usage: python scripts/make_screenshots.py
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

IMAGES = Path(__file__).parent.parent / "docs" / "images"
COMMAND = [str(Path(sys.executable).with_name("thermogen")), "studio", "--no-open", "--port", "0"]
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
]


def opened(browser: Browser, address: str, width: int, height: int, theme: str) -> Page:
    """The page of a new visitor, ready, stopping when a picture is read."""
    context = browser.new_context(
        bypass_csp=True, viewport={"width": width, "height": height}, color_scheme=theme
    )
    page = context.new_page()
    page.set_default_timeout(120_000)
    page.goto(address)
    page.wait_for_function("document.body.dataset.ready && document.body.dataset.frame")
    page.select_option("#at-end", "stop")
    return page


def drawn(page: Page, action) -> None:
    """After the action, the run that it begins, up to where its picture is read."""
    before = page.evaluate("document.body.dataset.run")
    action()
    page.wait_for_function(
        f"document.body.dataset.run > {before} && document.body.dataset.read === document.body.dataset.run"
    )


def kept(page: Page, name: str, **options) -> None:
    """A screenshot, as small as PNG allows."""
    path = IMAGES / f"{name}.png"
    page.screenshot(path=path, **options)
    Image.open(path).convert("RGB").save(path, optimize=True)
    print(path.name, path.stat().st_size)


def main() -> None:
    """Take all of them."""
    with (
        subprocess.Popen(COMMAND, stdout=subprocess.PIPE, text=True) as server,
        sync_playwright() as playwright,
    ):
        address = re.search(r"http://\S+", server.stdout.readline()).group()
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        page = opened(browser, address, 1280, 1250, "light")
        page.locator("#unit").fill("785")
        page.keyboard.press("Enter")
        drawn(page, lambda: page.click("#restart"))
        kept(page, "studio")
        page = opened(browser, address, 1280, 1250, "dark")
        before = page.evaluate("document.body.dataset.run")
        page.select_option("#model", "ten-digits")
        page.wait_for_function(f"document.body.dataset.run > {before}")
        page.select_option("#at-end", "stop")
        page.select_option("#example", "6")
        page.wait_for_function("document.getElementById('example').value === ''")
        page.select_option("#region", "upper")
        drawn(page, lambda: page.click("#hold"))
        page.locator("#board").scroll_into_view_if_needed()
        kept(page, "studio-finish", full_page=True)
        page = opened(browser, address, 390, 844, "light")
        drawn(page, lambda: page.click("#ask [data-label='2']"))
        kept(page, "studio-phone")
        browser.close()
        server.terminate()


if __name__ == "__main__":
    main()

"""Make the pictures of the live page, docs/images/studio*.png, in the system's Chromium.

Usage: python scripts/make_screenshots.py
"""

from __future__ import annotations

from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page

from browser import chromium, opened, shown, studio

IMAGES = Path(__file__).parent.parent / "docs" / "images"


def visit(browser: Browser, address: str, width: int, height: int, theme: str) -> Page:
    """The page of a new visitor, which stops at the read-out."""
    page = opened(browser, viewport={"width": width, "height": height}, color_scheme=theme)
    shown(page, address).select_option("#at-end", "stop")
    return page


def drawn(page: Page, action) -> None:
    """Perform the action and wait for the read-out of its run."""
    before = page.evaluate("document.body.dataset.run")
    action()
    page.wait_for_function(
        f"document.body.dataset.run > {before} && document.body.dataset.read === document.body.dataset.run"
    )


def kept(page: Page, name: str, **options) -> None:
    """Take a screenshot and compress it."""
    path = IMAGES / f"{name}.png"
    page.screenshot(path=path, **options)
    Image.open(path).convert("RGB").save(path, optimize=True)
    print(path.name, path.stat().st_size)


def main() -> None:
    """Take all screenshots."""
    with studio() as (address, _), chromium() as browser:
        page = visit(browser, address, 1280, 1250, "light")
        page.locator("#unit").fill("785")
        page.keyboard.press("Enter")
        drawn(page, lambda: page.click("#restart"))
        kept(page, "studio")
        page = visit(browser, address, 1280, 1250, "dark")
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
        page = visit(browser, address, 390, 844, "light")
        drawn(page, lambda: page.click("#ask [data-label='2']"))
        kept(page, "studio-phone")


if __name__ == "__main__":
    main()

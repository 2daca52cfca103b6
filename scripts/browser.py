"""Open the studio in the system's headless Chromium, for tests, benchmarks and screenshots."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
COMMAND = [str(Path(sys.executable).with_name("thermogen")), "studio", "--no-open", "--port", "0"]
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE = 120_000
"""Milliseconds that a page may take: compiling on a busy machine."""


@contextmanager
def studio(
    errors: IO[str] | int | None = None, words: Sequence[str] = COMMAND
) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Address and process of the studio that `words` start. The process ends with all its children."""
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=errors, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None
        try:
            said = (re.search(r"studio: (http://\S+)", line) for line in process.stdout)
            found = next((one for one in said if one), None)
            assert found is not None, "the studio did not start"
            yield found.group(1), process
        finally:
            os.killpg(process.pid, signal.SIGINT)
            process.wait(60)


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser without a screen."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()


def opened(browser: Browser, **settings) -> Page:
    """An empty page of a new visitor, whose drawing our scripts can inspect."""
    page = browser.new_context(bypass_csp=True, **settings).new_page()
    page.set_default_timeout(PATIENCE)
    return page


def shown(page: Page, address: str) -> Page:
    """The page of the studio after its first frame."""
    page.goto(address)
    page.wait_for_function("document.body.dataset.ready && document.body.dataset.frame > 0")
    return page

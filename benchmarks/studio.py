"""The live page: frames a second with 16 samples, seconds to the first, bytes of the page; and NiceGUI's.

Headless Chromium draws on the same cores that simulate. The other page, in an environment of its own that is
made for it, shows 16 pictures of noise and simulates nothing.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from benchmarks.common import keep

SECONDS = 10.0
TURNS = 3
PACES = (0, 4)
"""Powers of two of the pace: as a model is first shown, and as fast as the machine can."""
MODELS = ("three-digits", "published", "ten-digits")
THERMOGEN = str(Path(sys.executable).with_name("thermogen"))
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
]
RIVAL = """
import sys
import numpy as np
from PIL import Image
from nicegui import ui

@ui.page("/")
def page():
    rng = np.random.default_rng(0)
    with ui.grid(columns=4):
        pictures = [ui.interactive_image().style("width: 10rem") for _ in range(16)]
    def draw():
        for one in pictures:
            one.set_source(Image.fromarray(rng.integers(0, 256, (28, 28), dtype=np.uint8)))
    ui.timer(1 / 30, draw)

ui.run(port=int(sys.argv[1]), show=False, reload=False)
"""


class Transfers:
    """Bytes and requests of a page until now, from the browser's own protocol."""

    def __init__(self, page: Page):
        self.bytes, self.requests = 0, 0
        protocol = page.context.new_cdp_session(page)
        protocol.send("Network.enable")
        protocol.on("Network.loadingFinished", self._count)

    def _count(self, event: dict) -> None:
        self.bytes += int(event["encodedDataLength"])
        self.requests += 1


def cpu_seconds(process: int) -> float:
    """Processor time of a process so far."""
    fields = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rate(page: Page, count: str, process: int) -> dict[str, float]:
    """Frames drawn per second and processor seconds of the server per second, over `SECONDS`."""
    first, begun, used = page.evaluate(count), time.perf_counter(), cpu_seconds(process)
    page.wait_for_timeout(1000 * SECONDS)
    wall = time.perf_counter() - begun
    return {
        "frames_per_s": (page.evaluate(count) - first) / wall,
        "server_cpu": (cpu_seconds(process) - used) / wall,
    }


def ours(browser) -> dict:
    """The studio as a visitor meets it, from the command to each model at each pace."""
    begun = time.perf_counter()
    words = [THERMOGEN, "studio", "--no-open", "--port", "0"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as server:
        address = re.search(r"http://\S+", server.stdout.readline()).group()
        page = browser.new_page(bypass_csp=True, viewport={"width": 1300, "height": 1000})
        page.set_default_timeout(120_000)
        transfers = Transfers(page)
        page.goto(address)
        page.wait_for_function("document.body.dataset.frame > 0")
        found = {"first_frame_s": time.perf_counter() - begun, "rates": {}}
        found |= {"page_bytes": transfers.bytes, "requests": transfers.requests}
        for model in MODELS:
            if model != MODELS[0]:
                before = page.evaluate("document.body.dataset.run")
                page.select_option("#model", model)
                page.wait_for_function(
                    f"document.body.dataset.run > {before} && document.body.dataset.step > 0"
                )
            page.select_option("#at-end", "on")  # no pause for reading
            for pace in PACES:
                page.locator("#pace").fill(str(pace))
                page.wait_for_timeout(2000)
                turns = [rate(page, "Number(document.body.dataset.frame)", server.pid) for _ in range(TURNS)]
                gap = page.inner_text("#gap")
                found["rates"][f"{model}, pace {2**pace}"] = {"turns": turns, "first_law_gap": gap}
        server.terminate()
    return found


def rival(browser) -> dict:
    """A page of NiceGUI with 16 pictures, thirty times a second."""
    count = "window.changes / 16"
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        python = str(Path(folder) / "bin" / "python")
        subprocess.run([python, "-m", "pip", "install", "-q", "nicegui", "numpy", "pillow"], check=True)
        script = Path(folder) / "rival.py"
        script.write_text(RIVAL)
        with subprocess.Popen(
            [python, str(script), "8977"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as server:
            while "ready" not in server.stdout.readline():
                pass
            page = browser.new_page(viewport={"width": 1300, "height": 1000})
            transfers = Transfers(page)
            page.goto("http://127.0.0.1:8977/")
            page.wait_for_selector("img")
            page.evaluate("""() => {
                window.changes = 0;
                new MutationObserver((seen) => (window.changes += seen.length))
                    .observe(document.body, {attributeFilter: ["src"], subtree: true});
            }""")
            page.wait_for_timeout(2000)
            sent = {"page_bytes": transfers.bytes, "requests": transfers.requests}
            turns = [rate(page, count, server.pid) for _ in range(TURNS)]
            version = subprocess.run(
                [python, "-c", "import nicegui; print(nicegui.__version__)"],
                capture_output=True,
                text=True,
                check=True,
            ).stdout.strip()
            server.terminate()
    return {"version": version, "turns": turns, **sent}


def main() -> None:
    """Measure and print."""
    before = os.getloadavg()[0]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        figures = {"studio": ours(browser), "nicegui": rival(browser), "load_before": before}
        browser.close()
    print(json.dumps(figures, indent=2))
    keep("studio", figures)


if __name__ == "__main__":
    main()

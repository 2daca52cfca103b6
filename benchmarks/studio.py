"""Live page: frames a second with 16 samples, seconds to the first, bytes of the page; the same for NiceGUI.

Headless Chromium draws on the same cores that simulate. The NiceGUI page runs in a separate environment. It
shows 16 images of noise and simulates nothing.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from playwright.sync_api import Browser, Page
from scripts.browser import chromium, opened, shown, studio

from benchmarks.common import keep
from thermogen.quality.evaluation import share
from thermogen.studies.measures import interval
from thermogen.studio.models import Models
from thermogen.studio.simulation import Simulation

SECONDS = 10.0
TURNS = 3
PACES = (0, 4)
"""Powers of two of the pace: as a model is first shown, and as fast as the machine can."""
MODELS = ("three-digits", "published", "ten-digits")
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
    """Bytes and requests of a page so far, from the browser's protocol."""

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


def rates(page: Page, count: str, process: int) -> dict[str, dict]:
    """Frames drawn and processor seconds of the server per second, over `TURNS` turns of `SECONDS`."""
    found = []
    for _ in range(TURNS):
        first, begun, used = page.evaluate(count), time.perf_counter(), cpu_seconds(process)
        page.wait_for_timeout(1000 * SECONDS)
        wall = time.perf_counter() - begun
        found.append(((page.evaluate(count) - first) / wall, (cpu_seconds(process) - used) / wall))
    frames, cores = zip(*found, strict=True)
    return {"frames_per_s": interval(frames), "server_cores": interval(cores)}


def first_frame(browser: Browser) -> float:
    """Seconds from the command to the first frame that is drawn."""
    begun = time.perf_counter()
    with studio() as (address, _):
        shown(opened(browser), address)
        return time.perf_counter() - begun


def ours(browser: Browser) -> dict:
    """Frame rates of the studio for each model and speed."""
    found: dict = {"first_frame_s": interval([first_frame(browser) for _ in range(TURNS)]), "rates": {}}
    with studio() as (address, server):
        page = opened(browser, viewport={"width": 1300, "height": 1000})
        transfers = Transfers(page)
        shown(page, address)
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
                measured = rates(page, "Number(document.body.dataset.frame)", server.pid)
                found["rates"][f"{model}, pace {2**pace}"] = measured
    return found


def rival(browser: Browser) -> dict:
    """A page of NiceGUI with 16 images, thirty times a second."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        python = str(Path(folder) / "bin" / "python")
        install = [python, "-m", "pip", "install", "-q", "nicegui", "numpy", "pillow"]
        subprocess.run(install, check=True, capture_output=True)
        script = Path(folder) / "rival.py"
        script.write_text(RIVAL)
        words = [python, str(script), "8977"]
        with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
            while "ready" not in server.stdout.readline():
                pass
            page = opened(browser, viewport={"width": 1300, "height": 1000})
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
            measured = rates(page, "window.changes / 16", server.pid)
            ask = [python, "-c", "import nicegui; print(nicegui.__version__)"]
            version = subprocess.run(ask, capture_output=True, text=True, check=True).stdout.strip()
            server.terminate()
    return {"version": version, **measured, **sent}


def asked_and_law() -> dict:
    """Share of 100 samples of each digit that are classified right; largest gap of the first law."""
    shelf, found = Models.of(), {}
    for name in MODELS:
        loaded, right, gaps, heats = shelf.load(name), [], [], []
        for label in loaded.labels:
            simulation = Simulation(loaded, shelf.classifier, count=100, seed=label)
            simulation.ask(label)
            simulation.advance(simulation.steps)
            right.append(simulation.verdict == label)
            gaps.append(np.abs(simulation.ledger().gap).max())
            heats.append(simulation.ledger().heat.mean())
        found[name] = {
            "asked_right": share(np.concatenate(right)),
            "largest_gap_kT": float(max(gaps)),
            "mean_heat_kT": float(np.mean(heats)),
        }
    return found


def main() -> None:
    """Measure and print."""
    before = os.getloadavg()[0]
    with chromium() as browser:
        figures = {"studio": ours(browser), "nicegui": rival(browser), "load_before": before}
    figures["simulation"] = asked_and_law()
    print(json.dumps(figures, indent=2))
    keep("studio", figures)


if __name__ == "__main__":
    main()

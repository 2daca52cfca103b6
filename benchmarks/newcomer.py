"""Time from a clone to moving units and to the first digits; time of each notebook in a fresh process.

Packages come from pip's cache where it has them. The clone is of the last commit.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from scripts.browser import chromium, opened, shown, studio

from benchmarks.common import keep
from thermogen.studies.measures import interval

ROOT = Path(__file__).parent.parent
NOTEBOOKS = ROOT / "docs" / "notebooks"
TURNS = 3


def first_digits(browser) -> tuple[float, float]:
    """Seconds from `git clone` through `make studio` to the first frame, and to the first digits."""
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "thermogen"
        subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True)
        words = ["make", "-s", "-C", str(clone), "studio", "ARGS=--no-open --port 0"]
        with studio(subprocess.DEVNULL, words) as (address, _):
            page = shown(opened(browser), address)
            frame = time.perf_counter() - begun
            page.wait_for_function("document.body.dataset.read > 0")
            return frame, time.perf_counter() - begun


def seconds(notebook: Path) -> float:
    """Seconds of a notebook as a script, with figures drawn but not shown."""
    begun = time.perf_counter()
    subprocess.run(
        [sys.executable, notebook.name],
        cwd=notebook.parent,
        env={**os.environ, "MPLBACKEND": "Agg"},
        check=True,
        capture_output=True,
    )
    return time.perf_counter() - begun


def main() -> None:
    """Measure and print."""
    before = os.getloadavg()[0]
    with chromium() as browser:
        frames, reads = zip(*(first_digits(browser) for _ in range(TURNS)), strict=True)
    figures = {
        "clone_to_units_s": interval(frames),
        "clone_to_digits_s": interval(reads),
        "notebooks_s": {
            one.stem: interval([seconds(one) for _ in range(TURNS)])
            for one in sorted(NOTEBOOKS.glob("0*.py"))
        },
        "load_before": before,
    }
    print(json.dumps(figures, indent=2))
    keep("newcomer", figures)


if __name__ == "__main__":
    main()

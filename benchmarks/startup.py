"""Start-up time: import, help, every public name, first images; each in a fresh process."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.common import keep
from thermogen.studies.speed.timing import in_turns

RUNS = 15
FEW = 5
THERMOGEN = str(Path(sys.executable).with_name("thermogen"))
QUICK = {
    "import thermogen": [sys.executable, "-c", "import thermogen"],
    "import, every public name": [
        sys.executable,
        "-c",
        "import thermogen as tg; [getattr(tg, name) for name in tg.__all__]",
    ],
    "thermogen --version": [THERMOGEN, "--version"],
    "thermogen --help": [THERMOGEN, "--help"],
    "python -c pass": [sys.executable, "-c", "pass"],
}
PICTURES = {
    "thermogen sample three-digits --count 10": [THERMOGEN, "sample", "three-digits", "--count", "10"],
    "thermogen sample ten-digits --count 10": [THERMOGEN, "sample", "ten-digits", "--count", "10"],
}


def seconds(commands: dict[str, list[str]], runs: int) -> dict[str, dict[str, float]]:
    """Smallest, median and largest wall seconds of each command, taken in turns."""
    with tempfile.TemporaryDirectory() as folder:

        def call(words: list[str]) -> None:
            out = ["--out", str(Path(folder) / "p.png"), "--force"] if "sample" in words else []
            subprocess.run([*words, *out], check=True, cwd=folder, capture_output=True)

        works = {name: (lambda words=words: call(words)) for name, words in commands.items()}
        times, _ = in_turns(works, runs)  # after a first call of each: files are in the cache
    return {
        name: {
            "min": float(found.min()),
            "median": float(np.median(found)),
            "max": float(found.max()),
            "n": runs,
        }
        for name, found in times.items()
    }


def main() -> None:
    """Measure and print."""
    before = os.getloadavg()[0]
    figures = {"seconds": {**seconds(QUICK, RUNS), **seconds(PICTURES, FEW)}, "load_before": before}
    print(json.dumps(figures, indent=2))
    keep("startup", figures)


if __name__ == "__main__":
    main()

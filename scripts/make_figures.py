"""Make the pictures of the documentation, docs/images/*.png.

Usage: python scripts/make_figures.py [NAME ...] [--images MNIST.npz]

Without names the script makes all pictures, which takes hours. A run that is stored in runs/figures is not
repeated. Grids show the first samples of a run, without selection.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from PIL import Image

ROOT = Path(__file__).parent.parent
IMAGES = ROOT / "docs" / "images"
RUNS = ROOT / "runs" / "figures"
RESULTS = ROOT / "benchmarks" / "results"
THERMOGEN = (sys.executable, "-m", "thermogen")
BENCHMARKS = (sys.executable, "-m", "benchmarks")
MNIST = "MNIST"  # stands for the file that is given


class Work(NamedTuple):
    """Commands in order, and the file that marks them as done (None: always run them)."""

    commands: tuple[tuple[str, ...], ...]
    done: Path | None


WORKS = {
    "reproduce": Work(
        ((*THERMOGEN, "reproduce", "--second-trainer", "exact", "--out", str(RUNS / "reproduce"),
          "--resume"),),
        RUNS / "reproduce" / "results.json",
    ),
    "compare": Work(
        ((*THERMOGEN, "compare", "--images", MNIST, "--count", "10000", "--out", str(RUNS / "compare"),
          "--resume"),),
        RUNS / "compare" / "comparison.json",
    ),
    "ledger": Work(
        (
            (*THERMOGEN, "train", "--out", str(RUNS / "exact"), "--force"),
            (*THERMOGEN, "ledger", str(RUNS / "exact"), "--count", "1000", "--measured", "--out",
             str(RUNS / "ledger"), "--force"),
        ),
        RUNS / "ledger" / "ledger.json",
    ),
    "large": Work(((*BENCHMARKS, "large"),), None),
    "circuit": Work(((*BENCHMARKS, "circuit"),), None),
    "tolerance": Work(((*BENCHMARKS, "tolerance"),), None),
    "studio": Work(((sys.executable, str(ROOT / "scripts" / "make_screenshots.py")),), None),
}  # fmt: skip

FIGURES = {
    "digits": ("reproduce", RUNS / "reproduce" / "figures" / "grid.png"),
    "films": ("reproduce", RUNS / "reproduce" / "figures" / "films.png"),
    "digits-exact": ("reproduce", RUNS / "reproduce" / "figures" / "second.png"),
    "ten-digits": ("compare", RUNS / "compare" / "grids" / "thermodynamic.png"),
    "ten-digits-matched": ("compare", RUNS / "compare" / "grids" / "thermodynamic-matched.png"),
    "quality-energy": ("compare", RUNS / "compare" / "quality-energy.png"),
    "quality-time": ("compare", RUNS / "compare" / "quality-time.png"),
    "ledger": ("ledger", RUNS / "ledger" / "ledger.png"),
    "large-low-rank": ("large", RESULTS / "large_low-rank:3.png"),
    "large-planes": ("large", RESULTS / "large_planes:3.png"),
    # These are drawn in place.
    "circuit-8x8": ("circuit", IMAGES / "circuit-8x8.png"),
    "circuit-28x28": ("circuit", IMAGES / "circuit-28x28.png"),
    "circuit-ten": ("circuit", IMAGES / "circuit-ten.png"),
    "tolerance-three": ("tolerance", IMAGES / "tolerance-three.png"),
    "tolerance-ten": ("tolerance", IMAGES / "tolerance-ten.png"),
    "studio": ("studio", IMAGES / "studio.png"),
    "studio-finish": ("studio", IMAGES / "studio-finish.png"),
    "studio-phone": ("studio", IMAGES / "studio-phone.png"),
}
"""Picture by name: the work that makes it, and the resulting file."""


SHORT = ("digits", "digits-exact")
"""Grids of which the first page shows the first sixty samples, in four rows."""


def four_rows(grid: Path, target: Path, columns: int = 15) -> None:
    """The first samples of a grid of ten columns as four rows of `columns`, in the same order."""
    with Image.open(grid) as whole:
        edge = 4  # black lines between samples and around
        side = (whole.width - edge) // 10
        short = Image.new(whole.mode, (columns * side + edge, 4 * side + edge))
        for number in range(4 * columns):
            row, column = divmod(number, 10)
            cell = (column * side, row * side, (column + 1) * side + edge, (row + 1) * side + edge)
            row, column = divmod(number, columns)
            short.paste(whole.crop(cell), (column * side, row * side))
    short.save(target, optimize=True)


def main() -> None:
    """Make the named pictures, or all of them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"any of {', '.join(FIGURES)}")
    parser.add_argument("--images", default="../shared/data/mnist.npz", help="MNIST as .npz")
    given = parser.parse_args()
    names = given.names or list(FIGURES)
    unknown = [name for name in names if name not in FIGURES]
    if unknown:
        parser.error(f"unknown picture {unknown[0]!r}: choose among {', '.join(FIGURES)}")
    for work in dict.fromkeys(FIGURES[name][0] for name in names):
        commands, done = WORKS[work]
        if done is None or not done.exists():
            for command in commands:
                words = [given.images if word == MNIST else word for word in command]
                subprocess.run(words, cwd=ROOT, check=True)
    for name in names:
        made = FIGURES[name][1]
        if name in SHORT:
            four_rows(made, IMAGES / f"{name}.png")
        elif made.parent != IMAGES:
            shutil.copyfile(made, IMAGES / f"{name}.png")
        print(f"docs/images/{name}.png")


if __name__ == "__main__":
    main()

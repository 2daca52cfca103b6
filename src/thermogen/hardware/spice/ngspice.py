"""ngspice: find the program, run a deck, follow its progress, read the states, report its errors."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from thermogen.errors import InputError, require

_DONE = re.compile(r"^done (\d+)$")
_REFUSAL = re.compile(r"error|singular|too small|no such|unknown|undefined|syntax|fatal|abort", re.IGNORECASE)


def find_ngspice(program: str | None = None) -> str:
    """Path of the program; InputError, with the remedy, if there is none."""
    path = shutil.which(program or "ngspice")
    if path is None:
        raise InputError(
            f"{program} is no program: give the path of ngspice"
            if program
            else "ngspice is not installed: install it (Debian: apt-get install ngspice), or name its path"
        )
    return path


def version(program: str) -> str:
    """The version that the program states, e.g. 'ngspice-39'."""
    printed = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    match = re.search(r"ngspice-[\w.+]+", printed)
    return match.group() if match else "ngspice"


def run_deck(
    program: str,
    deck: Path,
    raw: Path,
    runs: int,
    names: list[str],
    progress: Callable[[int], None] | None = None,
    running: set[subprocess.Popen[str]] | None = None,
) -> Float[np.ndarray, "runs points names"]:
    """Run a deck whose control script writes `raw`; return the saved vectors `names`, e.g. 'v(x0)'.

    `progress(runs done)`. `running` holds the process while it runs, so that the caller can stop it.
    Raises InputError, with the program's own message, if it refuses the deck or fails; the deck is kept.
    """
    raw.unlink(missing_ok=True)
    printed: list[str] = []
    done = 0
    process = subprocess.Popen(
        [program, "-b", deck.name],
        cwd=deck.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        errors="replace",
    )
    running = set() if running is None else running
    running.add(process)
    try:
        for line in process.stdout or ():
            if (counted := _DONE.match(line.strip())) is None:
                printed.append(line.strip())
                continue
            done = int(counted.group(1))
            if progress is not None:
                progress(done)
        code = process.wait()
    finally:
        running.discard(process)
        process.kill()
        process.communicate()
    complaint = next((line for line in printed if _REFUSAL.search(line)), None)
    plots = read_raw(raw) if raw.is_file() else []
    if code or done != runs or len(plots) != runs or len({plot.values.shape for plot in plots}) != 1:
        reason = complaint or (printed[-1] if printed else f"exit code {code}")
        raise InputError(f"ngspice stopped after {len(plots)} of {runs} runs: {reason} (deck kept: {deck})")
    absent = [name for name in names if name not in plots[0].names]
    require(
        not absent, f"ngspice did not save {', '.join(absent[:3])} (deck kept: {deck}): {complaint or ''}"
    )
    states = np.stack([plot.values[:, [plot.names.index(name) for name in names]] for plot in plots])
    require(
        bool(np.isfinite(states).all()),
        f"ngspice gave values that are no numbers (deck kept: {deck}): lower reltol or noise_step",
    )
    return states


class Plot(NamedTuple):
    """The result of one run: names of the vectors as ngspice writes them, 'time' first, and their values."""

    names: list[str]
    values: Float[np.ndarray, "points names"]


def read_raw(path: Path) -> list[Plot]:
    """All plots of a binary raw file of real numbers, in order; InputError for another file."""
    content, plots, place = path.read_bytes(), [], 0
    while place < len(content):
        header, mark, _ = content[place:].partition(b"Binary:\n")
        text = header.decode(errors="replace")
        counts = [re.search(rf"^No\. {what}: *(\d+)", text, re.MULTILINE) for what in ("Points", "Variables")]
        require(
            bool(mark) and None not in counts and "Flags: real" in text,
            f"{path} is no binary raw file of real numbers: write it with 'set filetype=binary'",
        )
        points, variables = (int(count.group(1)) for count in counts if count is not None)
        place += len(header) + len(mark)
        end = place + 8 * points * variables
        require(end <= len(content), f"{path} ends within a plot: run the deck again")
        values = np.frombuffer(content[place:end], float).reshape(points, variables)
        names = [line.split()[1] for line in text[text.index("Variables:\n") :].splitlines()[1:]]
        plots.append(Plot(names, values))
        place = end
    return plots

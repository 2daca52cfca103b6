"""Running ngspice: found, started on a deck, progress followed, states read back, refusals shown."""

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
    """Path of the program; InputError, with the remedy, where there is none."""
    found = shutil.which(program or "ngspice")
    if found is None:
        raise InputError(
            f"{program} is no program: give the path of ngspice"
            if program
            else "ngspice is not installed: install it (Debian: apt-get install ngspice), or name its path"
        )
    return found


def version(program: str) -> str:
    """'ngspice-39', as the program says of itself."""
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"ngspice-[\w.+]+", said)
    return found.group() if found else "ngspice"


def run_deck(
    program: str,
    deck: Path,
    raw: Path,
    runs: int,
    names: list[str],
    progress: Callable[[int], None] | None = None,
    running: set[subprocess.Popen[str]] | None = None,
) -> Float[np.ndarray, "runs points names"]:
    """Run a deck whose control script writes `raw`; what it saved, in the order of `names`, e.g. 'v(x0)'.

    `progress(runs done)`. `running` holds the program while it runs, for whoever has to stop it.
    Raises InputError, with the program's own message, if it refuses the deck or gives up; the deck is kept.
    """
    raw.unlink(missing_ok=True)
    said: list[str] = []
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
        assert process.stdout is not None
        for line in process.stdout:
            counted = _DONE.match(line.strip())
            if counted is None:
                said.append(line.strip())
                continue
            done = int(counted.group(1))
            if progress is not None:
                progress(done)
        code = process.wait()
    finally:
        running.discard(process)
        if process.poll() is None:
            process.kill()
        process.communicate()
    complaint = next((line for line in said if _REFUSAL.search(line)), None)
    plots = read_raw(raw) if raw.is_file() else []
    if code or done != runs or len(plots) != runs or len({one.values.shape for one in plots}) != 1:
        reason = complaint or (said[-1] if said else f"exit code {code}")
        raise InputError(f"ngspice stopped after {len(plots)} of {runs} runs: {reason} (deck kept: {deck})")
    absent = [name for name in names if name not in plots[0].names]
    require(
        not absent, f"ngspice did not save {', '.join(absent[:3])} (deck kept: {deck}): {complaint or ''}"
    )
    states = np.stack([one.values[:, [one.names.index(name) for name in names]] for one in plots])
    require(
        bool(np.isfinite(states).all()),
        f"ngspice gave values that are no numbers (deck kept: {deck}): lower reltol or noise_step",
    )
    return states


class Plot(NamedTuple):
    """What one run saved: names of the vectors as ngspice writes them, 'time' first, and their values."""

    names: list[str]
    values: Float[np.ndarray, "points names"]


def read_raw(path: Path) -> list[Plot]:
    """All plots of a binary raw file of real numbers, one after the other; InputError if it is none."""
    content, plots, place = path.read_bytes(), [], 0
    while place < len(content):
        mark = content.find(b"Binary:\n", place)
        header = content[place:mark].decode(errors="replace")
        variables = re.search(r"^No\. Variables: *(\d+)", header, re.MULTILINE)
        points = re.search(r"^No\. Points: *(\d+)", header, re.MULTILINE)
        require(
            mark >= 0 and variables is not None and points is not None and "Flags: real" in header,
            f"{path} is no binary raw file of real numbers: write it with 'set filetype=binary'",
        )
        assert variables is not None
        assert points is not None
        shape = int(points.group(1)), int(variables.group(1))
        place = mark + len(b"Binary:\n")
        size = 8 * shape[0] * shape[1]
        require(place + size <= len(content), f"{path} ends within a plot: run the deck again")
        values = np.frombuffer(content, float, shape[0] * shape[1], place).reshape(shape)
        names = [line.split()[1] for line in header[header.index("Variables:\n") :].splitlines()[1:]]
        plots.append(Plot(names, values))
        place += size
    return plots

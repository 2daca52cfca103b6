"""Speed of this machine: bounds, steps, samples, training and compiling."""

from __future__ import annotations

import json
import os
import platform
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jax
import numpy as np

from thermogen.couplings import Units
from thermogen.errors import InputError, require
from thermogen.storage.model import versions
from thermogen.studies.progress import Stage, silent
from thermogen.studies.speed.jobs import PIXELS, PUBLISHED, sampling, training
from thermogen.studies.speed.kernels import STEPS, bounds, multiply_adds, steps
from thermogen.studies.speed.timing import in_turns, ratio


@dataclass(frozen=True)
class SpeedSettings:
    """Sizes. visible, hidden: units. batch: samples in a step. turns: repetitions of each work.

    samples: of a timed call; 0 leaves out generation and training, which need 784 visible units.
    """

    visible: int = 784
    hidden: int = 512
    batch: int = 250
    turns: int = 9
    samples: int = 1000

    def __post_init__(self) -> None:
        """Refuse sizes below 1, and samples of other images."""
        for name in ("visible", "hidden", "batch", "turns"):
            require(getattr(self, name) >= 1, f"{name} = {getattr(self, name)}: give 1 or more")
        require(self.samples >= 0, f"samples = {self.samples}: give 0 (leave out) or more")
        require(
            self.samples == 0 or self.visible == PIXELS,
            f"visible = {self.visible}: samples are the shipped digits of {PIXELS} pixels; give samples = 0",
        )


def bench(what: SpeedSettings | None = None, stage: Stage = silent) -> dict[str, Any]:
    """Time this machine and the program on it; figures are medians over turns, `ratio`s have a range.

    bounds: lower bounds of a step. steps: all forms of the time step at the same batch. samples: generation
    from start to read-out, by computers trained here. training: seconds. Compiling is given separately.
    """
    what = what or SpeedSettings()
    units = Units(what.visible, what.hidden)
    timed = {**bounds(units, what.batch), **steps(units, what.batch)}
    with stage("steps", what.turns) as tick:
        times, compiling = in_turns(timed, what.turns, lambda done: tick(done, ""))
    figures: dict[str, Any] = {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "versions": versions(),
        "units": {"visible": what.visible, "hidden": what.hidden},
        "batch": what.batch,
        **_forms(times, compiling, units, what.batch),
    }
    if what.samples:
        figures["training"] = training(what.hidden)
        figures["samples"] = sampling(what.hidden, what.samples, stage)
        figures["published_s"] = PUBLISHED
    return figures


def machine() -> dict[str, Any]:
    """The processor, its cores that this process may use, and JAX's devices."""
    device = jax.devices()[0]
    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = info.read_text().splitlines()
        name = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), name)
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity is not None else os.cpu_count()
    devices = {"kind": device.device_kind, "platform": device.platform, "count": jax.local_device_count()}
    return {"processor": name, "cores": cores, "devices": devices}


def _forms(
    times: dict[str, np.ndarray], compiling: dict[str, float], units: Units, batch: int
) -> dict[str, dict[str, Any]]:
    """Rows of the bounds, with their rates, and of the forms of the time step."""
    numbers = units.total * batch
    rates = {
        "products": ("gflops", 2 * multiply_adds(units) * batch),
        "noise": ("numbers_per_ns", numbers),
        "pass": ("gigabytes_per_s", 8 * numbers),
    }
    figures: dict[str, dict[str, Any]] = {"bounds": {}, "steps": {}}
    for name, values in times.items():
        seconds = float(np.median(values)) / STEPS
        kind = re.split("[ ,]", name)[0]
        if kind in rates:
            rate, work = rates[kind]
            figures["bounds"][name] = {"ms": 1e3 * seconds, rate: work / seconds / 1e9}
            continue
        figures["steps"][name] = row = {
            "ms": 1e3 * seconds,
            "ns_per_unit": 1e9 * seconds / numbers,
            "sample_steps_per_s": batch / seconds,
            "faster_than_full": ratio(times["full"], values),
            "compile_s": compiling[name],
        }
        if name.startswith("full") and "Heun" not in name:
            products = "products, bfloat16" if "bfloat16" in name else "products"
            row["of_its_products"] = ratio(times[products], values)
    return figures


# --- history: a file of earlier measurements, one a line -----------------------------------------------


def earlier(path: Path, new: dict[str, Any]) -> dict[str, Any] | None:
    """The last entry with the same machine, units and batch; None if there is none.

    Raises InputError for a file that is no history.
    """
    if not path.exists():
        return None
    last = None
    for number, line in enumerate(path.read_text().splitlines(), 1):
        try:
            old = json.loads(line)
            same = all(old[name] == new[name] for name in ("machine", "units", "batch"))
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"line {number} of {path} is no bench ({error}): name another file") from error
        last = old if same else last
    return last


def keep(path: Path, new: dict[str, Any]) -> None:
    """Add an entry to the file."""
    with path.open("a") as file:
        file.write(json.dumps(new) + "\n")


def changes(old: dict[str, Any], new: dict[str, Any]) -> dict[str, float]:
    """Relative change of milliseconds by bound, step and sample, e.g. {'steps: full': -0.05}."""
    return {
        f"{kind}: {name}": row["ms"] / old[kind][name]["ms"] - 1
        for kind in ("bounds", "steps", "samples")
        for name, row in new.get(kind, {}).items()
        if name in old.get(kind, {})
    }

"""One bench: bounds, steps, samples, training and compiling on this machine."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jax
import numpy as np

from thermogen.couplings import Units
from thermogen.errors import require
from thermogen.storage.model import versions
from thermogen.studies.progress import Stage, silent
from thermogen.studies.speed.jobs import PIXELS, PUBLISHED, sampling, training
from thermogen.studies.speed.kernels import STEPS, bounds, multiply_adds, steps
from thermogen.studies.speed.timing import in_turns, ratio


@dataclass(frozen=True)
class SpeedSettings:
    """What to time. visible, hidden: units. batch: samples in a step. turns: repetitions of each work.

    samples: generated per timed call; 0 leaves out generation and training, which need 784 visible units.
    """

    visible: int = 784
    hidden: int = 512
    batch: int = 250
    turns: int = 9
    samples: int = 1000

    def __post_init__(self) -> None:
        """Refuse what cannot be timed."""
        for name in ("visible", "hidden", "batch", "turns"):
            require(getattr(self, name) >= 1, f"{name} = {getattr(self, name)}: give 1 or more")
        require(self.samples >= 0, f"samples = {self.samples}: give 0 (leave out) or more")
        require(
            self.samples == 0 or self.visible == PIXELS,
            f"visible = {self.visible}: samples are the shipped digits of {PIXELS} pixels; give samples = 0",
        )


def bench(what: SpeedSettings | None = None, stage: Stage = silent) -> dict[str, Any]:
    """Time this machine and the program on it; every figure is a median over turns, `ratio`s with range.

    bounds: what no step can beat. steps: each form of the time step at the same batch. samples: generation
    from start to read-out, by computers trained here. training: seconds. All seconds without compiling,
    which is given beside them. Nothing here is random but the machine.
    """
    what = what or SpeedSettings()
    units = Units(what.visible, what.hidden)
    timed = {**bounds(units, what.batch), **steps(units, what.batch)}
    with stage("steps", what.turns) as tick:
        times, compiling = in_turns(timed, what.turns, lambda done: tick(done, ""))
    found: dict[str, Any] = {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "versions": versions(),
        "units": {"visible": what.visible, "hidden": what.hidden},
        "batch": what.batch,
        "bounds": _bounds(times, units, what.batch),
        "steps": _steps(times, compiling, units, what.batch),
    }
    if what.samples:
        found["training"] = training(what.hidden)
        found["samples"] = sampling(what.hidden, what.samples, stage)
        found["published_s"] = PUBLISHED
    return found


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


def _median(times: np.ndarray) -> float:
    return float(np.median(times)) / STEPS


def _bounds(times: dict[str, np.ndarray], units: Units, batch: int) -> dict[str, Any]:
    flops = 2 * multiply_adds(units) * batch
    numbers = units.total * batch
    found: dict[str, Any] = {}
    for name, seconds in ((name, _median(values)) for name, values in times.items()):
        if name.startswith("products"):
            found[name] = {"ms": 1e3 * seconds, "gflops": flops / seconds / 1e9}
        elif name.startswith("noise"):
            found[name] = {"ms": 1e3 * seconds, "numbers_per_ns": numbers / seconds / 1e9}
        elif name.startswith("pass"):
            found[name] = {"ms": 1e3 * seconds, "gigabytes_per_s": 8 * numbers / seconds / 1e9}
    return found


def _steps(
    times: dict[str, np.ndarray], compiling: dict[str, float], units: Units, batch: int
) -> dict[str, Any]:
    found = {}
    for name in set(times) - set(_bounds(times, units, batch)):
        seconds = _median(times[name])
        found[name] = {
            "ms": 1e3 * seconds,
            "ns_per_unit": 1e9 * seconds / (units.total * batch),
            "sample_steps_per_s": batch / seconds,
            "faster_than_full": ratio(times["full"], times[name]),
            "compile_s": compiling[name],
        }
        if name.startswith("full") and "Heun" not in name:
            products = "products, bfloat16" if "bfloat16" in name else "products"
            found[name]["of_its_products"] = ratio(times[products], times[name])
    return {name: found[name] for name in times if name in found}

"""Joules measured on this machine, from the counters that processors expose; absent, with a word, elsewhere.

RAPL: counters of Intel and AMD packages and their memory, in microjoules, which Linux shows under powercap.
NVML: the energy that NVIDIA devices have used since the driver was loaded, in millijoules.
Both count the whole package, whoever uses it and idling included.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

POWERCAP = Path("/sys/class/powercap")
"""Where Linux shows RAPL counters."""


@dataclass(frozen=True)
class Reading:
    """What was measured. joules: None if no counter could be read; seconds: how long the work took;
    counters: what counted. reasons: why counters are absent, one short phrase each.
    """

    joules: float | None
    seconds: float
    counters: tuple[str, ...]
    reasons: tuple[str, ...]

    @property
    def reason(self) -> str:
        """Why there is no number, in one line."""
        return "; ".join(self.reasons)


@runtime_checkable
class Counter(Protocol):
    """A running total of energy."""

    @property
    def name(self) -> str:
        """What counts."""
        ...

    def read(self) -> float:
        """Energy counted so far, J, modulo `range()`. Raises OSError or ValueError if it cannot be read."""
        ...

    def range(self) -> float | None:
        """Where the count starts anew from 0, J; None if it never does."""
        ...


@dataclass(frozen=True)
class RaplDomain:
    """One RAPL domain: a folder with `energy_uj` and `max_energy_range_uj`."""

    name: str
    folder: Path

    def read(self) -> float:
        """Energy counted so far, J."""
        return int((self.folder / "energy_uj").read_text()) * 1e-6

    def range(self) -> float | None:
        """Where the count starts anew, J."""
        return int((self.folder / "max_energy_range_uj").read_text()) * 1e-6


@dataclass(frozen=True)
class NvmlDevice:
    """One NVIDIA device, through the module `nvml`."""

    name: str
    nvml: Any
    handle: Any

    def read(self) -> float:
        """Energy since the driver was loaded, J. Raises OSError if the device does not tell."""
        try:
            return self.nvml.nvmlDeviceGetTotalEnergyConsumption(self.handle) * 1e-3
        except self.nvml.NVMLError as error:
            raise OSError(str(error)) from error

    def range(self) -> float | None:
        """The count never starts anew."""
        return None


@dataclass(frozen=True)
class Found:
    """Counters that can be read, and a phrase for each kind that cannot."""

    counters: tuple[Counter, ...]
    reasons: tuple[str, ...]


def rapl(root: Path = POWERCAP) -> Found:
    """RAPL domains below `root`: whole packages, and their memory where it is counted apart.

    Parts of a package and the whole platform (psys) are left out: the package holds the first, the second
    holds the package.
    """
    if not root.is_dir():
        return Found((), ("no RAPL counter: this machine shows none",))
    packages = [one for one in sorted(root.glob("intel-rapl:*")) if _called(one).startswith("package")]
    # In sysfs the parts stand beside their package as well as within it: each is taken once, by its name.
    inside = [one for package in packages for one in sorted(root.glob(f"{package.name}:*"))]
    memory = [one for one in inside if _called(one) == "dram"]
    found = tuple(RaplDomain(f"RAPL {_called(one)} ({one.name})", one) for one in packages + memory)
    if not found:
        return Found((), ("no RAPL counter: no package among the domains",))
    return _readable(found, "RAPL counter is not readable (its files are for the superuser)")


def nvml(module: Any = None) -> Found:
    """NVIDIA devices, by the module pynvml (package nvidia-ml-py); `module` stands in for it in tests."""
    if module is None:
        try:
            module = importlib.import_module("pynvml")
        except ImportError:
            return Found((), ("no NVML: pynvml is not installed (pip install thermogen[energy])",))
    try:
        module.nvmlInit()
        handles = [module.nvmlDeviceGetHandleByIndex(k) for k in range(module.nvmlDeviceGetCount())]
    except module.NVMLError as error:
        return Found((), (f"no NVML: {error}",))
    if not handles:
        return Found((), ("no NVML: no NVIDIA device",))
    found = tuple(NvmlDevice(f"NVML device {k}", module, one) for k, one in enumerate(handles))
    return _readable(found, "NVML device counts no energy")


def measure_joules(work: Callable[[], Any], root: Path = POWERCAP, module: Any = None) -> Reading:
    """Run `work` once and return the joules that this machine's counters saw meanwhile.

        E = sum over counters of (after - before), plus the range of a counter that started anew once

    Nothing is taken off for idling or for other programs. Work should last longer than 0.1 s, so that
    counters of 1 ms resolve it, and less than one turn of a counter (about an hour at 70 W), since two turns
    look like one. Without a counter `joules` is None, `reasons` says why, and the work is done all the same.
    """
    sources = rapl(root), nvml(module)
    counters = [one for found in sources for one in found.counters]
    reasons = [reason for found in sources for reason in found.reasons]
    begun, before = time.perf_counter(), [one.read() for one in counters]
    work()
    seconds = time.perf_counter() - begun
    try:
        spent = [_passed(one, start, one.read()) for one, start in zip(counters, before, strict=True)]
    except (OSError, ValueError) as error:
        return Reading(None, seconds, (), (*reasons, f"a counter stopped telling ({error})"))
    names = tuple(one.name for one in counters)
    return Reading(sum(spent) if spent else None, seconds, names, tuple(reasons))


def _passed(counter: Counter, before: float, after: float) -> float:
    if after >= before:
        return after - before
    largest = counter.range()
    if largest is None:
        raise ValueError(f"{counter.name} went backwards")
    return after - before + largest


def _called(folder: Path) -> str:
    try:
        return (folder / "name").read_text().strip()
    except OSError:
        return ""


def _readable(found: tuple[Counter, ...], refusal: str) -> Found:
    """Those that can be read now; a sum over some of them only would mislead, so one failure drops all."""
    try:
        for one in found:
            _ = one.read(), one.range()
    except (OSError, ValueError):
        return Found((), (refusal,))
    return Found(found, ())

"""Joules measured on this machine by the energy counters of its processors; None, with a reason, elsewhere.

RAPL: counters of Intel and AMD packages and their memory, in microjoules, which Linux shows under powercap.
NVML: the energy that NVIDIA devices have used since their driver started, in millijoules.
Both count the whole package, with all programs and idling.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

POWERCAP = Path("/sys/class/powercap")
"""Where Linux shows RAPL counters."""


@dataclass(frozen=True)
class Reading:
    """A measurement. joules: None if no counter could be read; seconds: duration of the work; counters: their
    names; reasons: why counters are absent, one short phrase each.
    """

    joules: float | None
    seconds: float
    counters: tuple[str, ...]
    reasons: tuple[str, ...]

    @property
    def reason(self) -> str:
        """Why there is no number, in one line."""
        return "; ".join(self.reasons)


class Counter(NamedTuple):
    """A running total of energy: its name, a function that reads it in J, and where it restarts from 0, in J.

    `range` is None if the count never restarts. `read` raises OSError or ValueError if it fails.
    """

    name: str
    read: Callable[[], float]
    range: float | None = None


class Counters(NamedTuple):
    """Counters that can be read, and a phrase for each kind that cannot."""

    counters: tuple[Counter, ...]
    reasons: tuple[str, ...] = ()


def rapl(root: Path = POWERCAP) -> Counters:
    """RAPL domains below `root`: whole packages, and their memory where it is counted apart.

    Contributions to a package and the whole platform (psys) are left out: they would count joules twice.
    """
    if not root.is_dir():
        return Counters((), ("no RAPL counter: this machine shows none",))
    packages = [domain for domain in sorted(root.glob("intel-rapl:*")) if _name(domain).startswith("package")]
    # sysfs lists the domains of a package beside it as well as inside it: the name takes each once.
    inside = [domain for package in packages for domain in sorted(root.glob(f"{package.name}:*"))]
    domains = packages + [domain for domain in inside if _name(domain) == "dram"]
    if not domains:
        return Counters((), ("no RAPL counter: no package among the domains",))
    try:
        counters = [
            Counter(
                f"RAPL {_name(domain)} ({domain.name})",
                partial(_microjoules, domain / "energy_uj"),
                _microjoules(domain / "max_energy_range_uj"),
            )
            for domain in domains
        ]
    except (OSError, ValueError):
        counters = []
    return _readable(counters, "RAPL counter is not readable (its files are for the superuser)")


def nvml(module: Any = None) -> Counters:
    """NVIDIA devices, by the module pynvml (package nvidia-ml-py) or another `module` with its functions."""
    if module is None:
        try:
            module = importlib.import_module("pynvml")
        except ImportError:
            return Counters((), ("no NVML: pynvml is not installed (pip install thermogen[energy])",))
    try:
        module.nvmlInit()
        handles = [module.nvmlDeviceGetHandleByIndex(k) for k in range(module.nvmlDeviceGetCount())]
    except module.NVMLError as error:
        return Counters((), (f"no NVML: {error}",))
    if not handles:
        return Counters((), ("no NVML: no NVIDIA device",))

    def joules(handle: Any) -> float:
        try:
            return module.nvmlDeviceGetTotalEnergyConsumption(handle) * 1e-3
        except module.NVMLError as error:
            raise OSError(str(error)) from error

    counters = [Counter(f"NVML device {k}", partial(joules, handle)) for k, handle in enumerate(handles)]
    return _readable(counters, "NVML device counts no energy")


def measure_joules(work: Callable[[], Any], root: Path = POWERCAP, module: Any = None) -> Reading:
    """Run `work` once and return the joules that the counters of this machine count meanwhile.

        E = sum over counters of (after - before), plus the range of a counter that restarted once

    Idling and other programs are included. Work should last longer than 0.1 s, since counters resolve 1 ms,
    and less than one turn of a counter (about an hour at 70 W), since two turns look like one. Without a
    counter `joules` is None, `reasons` says why, and the work is still done.
    """
    sources = rapl(root), nvml(module)
    counters = [counter for source in sources for counter in source.counters]
    reasons = tuple(reason for source in sources for reason in source.reasons)
    begun, before = time.perf_counter(), [counter.read() for counter in counters]
    work()
    seconds = time.perf_counter() - begun
    try:
        spent = [_passed(counter, start) for counter, start in zip(counters, before, strict=True)]
    except (OSError, ValueError) as error:
        return Reading(None, seconds, (), (*reasons, f"a counter gave no reading ({error})"))
    names = tuple(counter.name for counter in counters)
    return Reading(sum(spent) if spent else None, seconds, names, reasons)


def _passed(counter: Counter, before: float) -> float:
    passed = counter.read() - before
    if passed < 0 and counter.range is None:
        raise ValueError(f"{counter.name} went backwards")
    return passed if passed >= 0 else passed + (counter.range or 0)


def _microjoules(file: Path) -> float:
    return int(file.read_text()) * 1e-6


def _name(domain: Path) -> str:
    try:
        return (domain / "name").read_text().strip()
    except OSError:
        return ""


def _readable(counters: list[Counter], refusal: str) -> Counters:
    """The counters if all can be read now. A sum over some of them would mislead: one failure drops all."""
    try:
        for counter in counters:
            counter.read()
    except (OSError, ValueError):
        counters = []
    return Counters(tuple(counters), () if counters else (refusal,))

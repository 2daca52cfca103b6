"""Is the circuit the computer? ngspice against our own engine: path by path, at rest, and in distribution."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from thermogen.computer import Computer, in_float64, make_computer
from thermogen.couplings import Units, all_to_all
from thermogen.hardware.physical import to_physical
from thermogen.hardware.platforms import Platform
from thermogen.hardware.spice.circuit import CircuitBench, circuit_paths, start_states
from thermogen.hardware.spice.netlist import Transient
from thermogen.hardware.spice.reference_path import piecewise_noise, reference_path
from thermogen.langevin import StochasticHeun, simulate

PATHWISE = 1e-3
"""Largest difference of the same path in both engines, relative to the root mean square state."""
DETERMINISTIC = 1e-4
"""The same without noise."""
ERRORS = 4.0
"""Standard errors within which averages over paths must agree."""
TOLERANCES = (1e-4, 1e-5)
"""Tolerances of ngspice at which paths are compared: its default here, and a stricter one."""
_BATCH = 2000
_FINER = 5  # points of a trace in a noise step


def random_computer(key: Key[Array, ""], units: int) -> Computer:
    """All pairs coupled at random (norm about 1.6 E0), biases of 0.3 E0: no digits, no symmetry either."""
    coupling_key, bias_key = jax.random.split(key)
    J = 0.8 * np.asarray(jax.random.normal(coupling_key, (units, units))) / np.sqrt(2 * units)
    couplings = all_to_all(Units(visible=units)).with_matrix(jnp.asarray(J + J.T))
    return make_computer(couplings, bias=0.3 * np.asarray(jax.random.normal(bias_key, (units,)), float))


def pathwise(
    key: Key[Array, ""],
    computer: Computer,
    platform: Platform,
    bench: CircuitBench,
    *,
    noise_step: float = 0.05,
    t_f: float = 2.5,
    noisy: bool = True,
    tolerances: tuple[float, ...] = TOLERANCES,
) -> dict[str, Any]:
    """One path of the same start and the same held noise in both engines, at each tolerance.

    difference: root mean square over units at t_f, relative to that of the state; heat_kT of the path by the
    energies of both end states, and by the meter in the circuit. Noise and start are those of sample 0.
    """
    physical = to_physical(computer, platform)
    start = start_states(key, computer, np.arange(1))
    found: dict[str, Any] = {"units": len(physical.bias), "couplers": physical.couplings.count(), "runs": []}
    plan = Transient(t_f=t_f, noise_step=noise_step)
    noise = piecewise_noise(key, np.arange(1), plan.steps, len(physical.bias)) if noisy else None
    ours = reference_path(computer, start, noise, noise_step, plan.steps)[:, -1]
    size = float(np.sqrt(np.mean(ours**2)))
    for reltol in tolerances:
        begun = time.perf_counter()
        plan = Transient(t_f=t_f, noise_step=noise_step, points=1, reltol=reltol)
        theirs = circuit_paths(physical, start, plan, bench, noise=noise, meter=True)
        heat = theirs.heat
        assert heat is not None
        found["runs"].append(
            {
                "reltol": reltol,
                "difference": float(np.sqrt(np.mean((theirs.x[:, -1] - ours) ** 2))) / size,
                "heat_kT": float(energy_lost(computer, start, theirs.x[:, -1])[0]),
                "metered_kT": float(heat[0]) / platform.thermal_energy,
                "seconds": time.perf_counter() - begun,
            }
        )
    found["heat_kT"] = float(energy_lost(computer, start, ours)[0])
    bound = PATHWISE if noisy else DETERMINISTIC
    errors = [run["difference"] for run in found["runs"]]
    found["agrees"] = bool(errors[0] < bound and all(b < a or b < 1e-8 for a, b in pairwise(errors)))
    return found


class Trace(NamedTuple):
    """One path of the first units in both engines, dimensionless; ours at the ends of noise steps alone."""

    times: Float[np.ndarray, " points"]
    ngspice: Float[np.ndarray, "points units"]
    marks: Float[np.ndarray, " steps"]
    thermogen: Float[np.ndarray, "steps units"]


def traces(
    key: Key[Array, ""],
    computer: Computer,
    platform: Platform,
    bench: CircuitBench,
    *,
    noise_step: float = 0.05,
    t_f: float = 2.5,
    shown: int = 6,
) -> Trace:
    """The path of sample 0 under the same held noise, for the first units."""
    physical = to_physical(computer, platform)
    start = start_states(key, computer, np.arange(1))
    plan = Transient(t_f=t_f, noise_step=noise_step)
    plan = replace(plan, points=_FINER * plan.steps)
    noise = piecewise_noise(key, np.arange(1), plan.steps, len(physical.bias))
    theirs = circuit_paths(physical, start, plan, bench, noise=noise).x[0]
    ours = reference_path(computer, start, noise, noise_step, plan.steps)[0]
    both = [np.concatenate([start, one])[:, :shown] for one in (theirs, ours)]
    times, marks = (np.linspace(0, t_f, count + 1) for count in (plan.points, plan.steps))
    return Trace(times, both[0], marks, both[1])


def energy_lost(
    computer: Computer, start: Float[np.ndarray, "n N"], end: Float[np.ndarray, "n N"]
) -> Float[np.ndarray, " n"]:
    """V(start) - V(end) of paths at constant couplings, in kT, in float64: their heat."""
    with jax.enable_x64(True):
        wide = in_float64(computer)
        before, after = (np.asarray(wide.energy(jnp.asarray(one, float))) for one in (start, end))
    return (before - after) / float(computer.kT)


def ensembles(
    key: Key[Array, ""],
    computer: Computer,
    platform: Platform,
    bench: CircuitBench,
    count: int,
    *,
    noise_step: float = 0.025,
    t_f: float = 2.5,
    dt: float = 5e-3,
    progress: Callable[[int], None] | None = None,
) -> dict[str, Any]:
    """Averages at t_f over `count` paths of ngspice with its own noise, and four times as many of ours.

    Ours are by stochastic Heun with step `dt`; times in 1 / (mobility E0). Means, variances and covariances
    of all units, and mean heat in kT: z = difference over its standard error,
    both sides' errors added in squares; root mean square and largest of each kind.
    """
    physical = to_physical(computer, platform)
    plan = Transient(t_f=t_f, noise_step=noise_step, points=1, reltol=1e-3)
    begun = time.perf_counter()
    start = start_states(key, computer, np.arange(count))
    seeds = np.arange(1, count + 1)
    theirs = circuit_paths(physical, start, plan, bench, seeds=seeds, progress=progress).x[:, -1]
    seconds = time.perf_counter() - begun
    other = jax.random.fold_in(key, 1)
    number = 4 * count
    begin = start_states(other, computer, np.arange(number))
    end = _our_ends(other, computer, begin, t_f, dt)
    heats = [energy_lost(computer, a, b) for a, b in ((start, theirs), (begin, end))]
    z = {
        "means": _difference(theirs, end),
        "variances": _difference(*(_centred(one) ** 2 for one in (theirs, end))),
        "covariances": _difference(*(_products(one) for one in (theirs, end))),
        "heat": _difference(*(one[:, None] for one in heats)),
    }
    return {
        "units": len(physical.bias),
        "paths": count,
        "our_paths": number,
        "heat_kT": [float(one.mean()) for one in heats],
        "z": {
            name: {"rms": float(np.sqrt(np.mean(one**2))), "largest": float(np.abs(one).max()), "n": one.size}
            for name, one in z.items()
        },
        "seconds": seconds,
        "agrees": bool(all(np.abs(one).max() < ERRORS for one in z.values() if one.size)),
    }


def _our_ends(key, computer, start, t_f, dt) -> np.ndarray:
    ends = []
    for first in range(0, len(start), _BATCH):
        numbers = np.arange(first, min(first + _BATCH, len(start)))
        x = jnp.asarray(start[numbers], computer.bias.dtype)
        run = simulate(
            key,
            computer,
            x,
            steps=round(t_f / dt),
            dt=dt,
            samples=jnp.asarray(numbers),
            integrator=StochasticHeun(),
        )
        ends.append(np.asarray(run.final, float))
    return np.concatenate(ends)


def _centred(x: np.ndarray) -> np.ndarray:
    return x - x.mean(0)


def _products(x: np.ndarray) -> np.ndarray:
    i, j = np.triu_indices(x.shape[1], 1)
    centred = _centred(x)
    return centred[:, i] * centred[:, j]


def _difference(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """z of the means of independent rows."""
    error = np.sqrt(a.var(0, ddof=1) / len(a) + b.var(0, ddof=1) / len(b))
    return (a.mean(0) - b.mean(0)) / error

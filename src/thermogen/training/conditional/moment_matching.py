"""Couplings for which the state at t_f has the mean and covariance of the data, in closed form.

Nearly linear units (small images, no quartic force) that start in equilibrium at x = 0, with a stiffness s
along a mode and a bias b, have after t_f

    <x> = -b (1 - e^(-mu s t_f)) / s,    var x = kT/(2 J2) e^(-2 mu s t_f) + kT (1 - e^(-2 mu s t_f)) / s.

So s follows from the variance along each principal axis of a condition, and b from its mean. Growth of
thermal noise along axes with s < 0 makes the images differ. With all of the variance of the data this is the
fixed point of refinement at t_f (`training.conditional.refinement`).
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from thermogen.computer import Computer
from thermogen.control import ModeTable
from thermogen.errors import require
from thermogen.training.conditional.modes import mode_table

_SOFTEST = -20.0  # e^(2 20) is more than any variance over the thermal one


def solve_matched(
    computer: Computer,
    states: Float[np.ndarray, "P N"],
    conditions: Int[np.ndarray, " P"],
    classes: Int[np.ndarray, " K"],
    basis: Float[np.ndarray, "N r"],
    duration: float,
    *,
    share: float = 0.3,
) -> ModeTable:
    """Match mean and covariance at `duration` to those of each condition's `states`, in the modes `basis`.

    `share` of the variance of the data is added to the thermal one: a share of 1 gives the diversity of the
    data with some blurred images, a smaller one gives clearer images. Outside the modes, units have the mean
    of the data and thermal noise. Probability of a condition: its share of images.
    Raises InputError for a share outside 0 to 1, or units that are not alike.
    Cost: an (r, r) eigendecomposition a condition.
    """
    require(0 <= share <= 1, f"share = {share:g} of the variance: give a number from 0 to 1")
    J2, _, mobility = computer.alike()
    rest, thermal, reach = 2 * J2, float(computer.kT) / (2 * J2), mobility * duration
    mixings, biases = [], []
    for number in range(len(classes)):
        members = np.asarray(states[conditions == number], float)
        mean = members.mean(0)
        modes = (members - mean) @ basis
        size, axes = np.linalg.eigh(modes.T @ modes / len(modes))
        stiffness = _stiffness(1 + share * np.maximum(size, 0) / thermal, rest, reach)
        along = axes.T @ (mean @ basis)
        outside = mean - basis @ (basis.T @ mean)
        mixings.append(axes @ ((stiffness - rest)[:, None] * axes.T))
        biases.append(
            -basis @ (axes @ (along / _response(stiffness, reach)))
            - outside / _response(np.array([rest]), reach)
        )
    weights = np.bincount(conditions) / len(conditions)
    values = np.stack(mixings)[:, None], np.stack(biases)[:, None], weights
    return mode_table(computer.uncoupled(), basis, *values, classes, duration)


def _stiffness(ratio: np.ndarray, rest: float, reach: float) -> np.ndarray:
    """The stiffness after which the variance is `ratio` times that in equilibrium at stiffness `rest`.

    ratio = e^(-2 s reach) + rest (1 - e^(-2 s reach)) / s falls with s: bisection.
    """
    low, high = np.full_like(ratio, _SOFTEST / reach), np.full_like(ratio, rest)
    for _ in range(60):
        middle = (low + high) / 2
        above = np.exp(-2 * middle * reach) + 2 * rest * reach * _decay(2 * middle * reach) > ratio
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    return (low + high) / 2


def _response(stiffness: np.ndarray, reach: float) -> np.ndarray:
    """(1 - e^(-s reach)) / s: the displacement of a mode by a unit force."""
    return reach * _decay(stiffness * reach)


def _decay(z: np.ndarray) -> np.ndarray:
    """(1 - e^-z) / z, 1 at 0."""
    small = np.abs(z) < 1e-8
    return np.where(small, 1 - z / 2, -np.expm1(-z) / np.where(small, 1, z))

"""A Boltzmann machine on the same units and modes: p(x) ~ exp(-V(x) / kT), sampled after relaxation.

    V(x) = sum_i (J2 x_i^2 + J4 x_i^4 + b_i x_i) + x . B M B^T x / 2
    dM = rate kT Q L^-1 (C_chains - C_data) L^-1 Q^T,    db = rate kT Q L^-1/2 (mean of L^-1/2 Q^T (x - m))

Persistent contrastive divergence with Langevin dynamics: chains start at data and are never reset (Tieleman,
ICML 2008; Younes 1999). The covariance Q L Q^T of the data scales the steps. Each condition has its M and b,
first from score matching: <x_j dV/dx_i> = kT delta_ij and <dV/dx_i> = 0 over the data (Hyvärinen, JMLR 2005).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from thermogen.baselines.base import Baseline, check_training
from thermogen.computer import Computer, make_computer
from thermogen.control import ModeTable
from thermogen.couplings import NoCouplings, Units
from thermogen.errors import require
from thermogen.langevin import LeimkuhlerMatthews, sample_uncoupled, simulate
from thermogen.training import clusters, mode_basis
from thermogen.training.conditional.modes import mode_table

_BATCH = 250


@dataclass(frozen=True)
class BoltzmannMachine(Baseline):
    """A trained machine; a sample is its state after `wait`, from equilibrium of the uncoupled units."""

    table: ModeTable
    dt: float
    wait: float

    def draw(self, key: Key[Array, ""], labels: Int[np.ndarray, " n"]) -> Float[np.ndarray, "n pixels"]:
        """One state for every label after the waiting time; InputError for an unknown label."""
        return self.draw_at(key, labels, [self.wait])[0]

    def draw_at(
        self, key: Key[Array, ""], labels: Int[np.ndarray, " n"], times: Sequence[float]
    ) -> list[Float[np.ndarray, "n pixels"]]:
        """States of the same trajectories at several times, in rising order."""
        return [x for x, _ in self._run(key, labels, times)]

    def heat_kT(self, key: Key[Array, ""], labels: Int[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
        """Heat released within the waiting time, V(x(0)) - V(x(wait)), in kT."""
        return self._run(key, labels, [self.wait])[0][1]

    def _run(self, key, labels, times: Sequence[float]) -> list[tuple[np.ndarray, np.ndarray]]:
        self.places(labels)
        start_key, path_key = jax.random.split(key)
        conditions = self.table.draw(key, np.arange(len(labels)), labels)
        states = np.empty((len(times), len(labels), self.table.units.total), np.float32)
        heat = np.empty(states.shape[:2], np.float32)
        for chosen in _batches(len(labels)):
            numbers = jnp.asarray(chosen)
            computer = self.table.condition(jnp.asarray(conditions[chosen]), 0)
            x = sample_uncoupled(start_key, self.table.uncoupled(), numbers)
            energy, done = computer.energy(x), 0
            for place, until in enumerate(times):
                steps = max(0, round(until / self.dt) - done)
                if steps:
                    x = _simulated(path_key, computer, x, numbers, steps, self.dt, done)
                done += steps
                states[place, chosen] = np.asarray(x)
                heat[place, chosen] = np.asarray((energy - computer.energy(x)) / self.table.kT)
        return list(zip(states, heat, strict=True))

    @property
    def operations(self) -> int:
        """Multiply-adds of a simulation of one sample; a device spends only its heat."""
        total, modes = self.table.basis.shape
        return round(self.wait / self.dt) * (2 * total * modes + modes * modes)

    @property
    def parameters(self) -> int:
        """Couplings of modes and biases of every condition, and the basis."""
        return self.table.parameters


def fit_boltzmann(
    key: Key[Array, ""],
    images: Float[np.ndarray, "P pixels"],
    labels: Int[np.ndarray, " P"],
    *,
    scale: float = 0.005,
    kT: float = 5e-7,
    modes: int = 128,
    conditions: int = 100,
    chains: int = 20,
    rounds: int = 10,
    steps: int = 10,
    rate: float = 0.01,
    dt: float = 0.5,
    wait: float = 1600.0,
    progress: Callable[[int, int], None] | None = None,
) -> BoltzmannMachine:
    """Train on images (P, pixels) of 0 to 1, each standardised and multiplied by `scale`.

        conditions      largest number of clusters of a class, each with couplings and biases of its own
        chains, steps   persistent chains of a condition, and their steps in a round
        rounds          updates of couplings and biases; 0 keeps those of score matching
        scale, kT       of the images, and thermal energy in E0: kT / (2 J2 scale^2) is the thermal variance
                        relative to that of the ink. A small scale keeps the units nearly linear: with quartic
                        forces soft modes become unstable. A mode relaxes in its variance over kT
        modes, rate     of the couplings, and of the updates
        dt, wait        time step, and time of a sample
        progress        is called with (rounds done, rounds) after each round

    Raises InputError for counts below 1 (rounds: below 0), a wait below one step and images outside 0 to 1.
    Cost: rounds x steps x chains x conditions x classes steps of one sample.
    """
    for name, value in (("chains", chains), ("conditions", conditions), ("steps", steps)):
        require(value >= 1, f"{name} = {value}: give 1 or more")
    require(rounds >= 0, f"rounds = {rounds}: give 0 or more")
    require(dt > 0, f"dt = {dt:g}: give a positive step")
    require(wait >= dt, f"wait = {wait:g}: give at least one step, dt = {dt:g}")
    classes = check_training(images, labels)
    begun = time.perf_counter()
    flat = np.asarray(images, float)
    data = scale * (flat - flat.mean(1, keepdims=True)) / flat.std(1, keepdims=True)
    units = make_computer(NoCouplings(Units(data.shape[1])), kT=kT)
    basis = mode_basis(data, min(modes, data.shape[1]))
    rng = np.random.default_rng(int(jax.random.randint(key, (), 0, 2**31 - 1)))
    learned: list[_Condition] = []
    starts = []
    for label in classes:
        own = data[labels == label]
        cluster = clusters(own, conditions)
        for number in range(int(cluster.max()) + 1):
            members = own[cluster == number]
            learned.append(_Condition.of(members, label, len(members) / len(own), basis, units))
            starts.append(members[rng.integers(0, len(members), chains)])
    mixing, bias = (np.stack([getattr(c, name) for c in learned])[:, None] for name in ("mixing", "bias"))
    weights, owners = np.array([c.weight for c in learned]), [c.label for c in learned]
    table = mode_table(units, basis, mixing, bias, weights, owners, wait)
    x, owner = np.concatenate(starts).astype(np.float32), np.repeat(np.arange(len(learned)), chains)
    for number in range(rounds):
        for rows in _batches(len(x)):
            computer, numbers = table.condition(jnp.asarray(owner[rows]), 0), jnp.asarray(rows)
            x[rows] = _simulated(key, computer, jnp.asarray(x[rows]), numbers, steps, dt, number * steps)
        table = _updated(table, x.reshape(len(learned), chains, -1), learned, rate)
        if progress is not None:
            progress(number + 1, rounds)
    name = f"Boltzmann machine, after {wait:g}"
    return BoltzmannMachine(name, classes, time.perf_counter() - begun, table, dt, wait)


def _batches(count: int) -> Iterator[np.ndarray]:
    for first in range(0, count, _BATCH):
        yield np.arange(first, min(first + _BATCH, count))


def _simulated(key, computer: Computer, x: Array, numbers: Array, steps: int, dt: float, done: int) -> Array:
    exact = LeimkuhlerMatthews()  # equilibrium of linear units at any stable dt
    return simulate(
        key, computer, x, steps=steps, dt=dt, integrator=exact, samples=numbers, first_step=done
    ).final


@dataclass(frozen=True)
class _Condition:
    """Score matching on a cluster; root: Q L^-1/2 of the covariance Q L Q^T of its data."""

    label: int
    weight: float
    mean: np.ndarray
    root: np.ndarray
    mixing: np.ndarray
    bias: np.ndarray

    @classmethod
    def of(
        cls, data: np.ndarray, label: int, weight: float, basis: np.ndarray, units: Computer
    ) -> _Condition:
        mean = data.mean(0)
        kT, J2, J4 = float(units.kT), float(np.asarray(units.J2)[0]), float(np.asarray(units.J4)[0])
        thermal = kT / (2 * J2)
        rest = (data - mean) @ basis
        covariance = rest.T @ rest / len(rest) + thermal * np.eye(basis.shape[1])
        force = 2 * J2 * data + 4 * J4 * data**3 + 12 * J4 * thermal * data
        pull = force.mean(0)
        stiffness = basis.T @ ((2 * J2 + 12 * J4 * (data**2).mean(0))[:, None] * basis)
        cross = ((force - pull) @ basis).T @ rest / len(rest) + thermal * stiffness
        size, vectors = np.linalg.eigh(covariance)
        target = vectors.T @ (2 * kT * np.eye(len(cross)) - cross - cross.T) @ vectors
        mixing = vectors @ (target / (size[:, None] + size)) @ vectors.T
        bias = -(pull + mean @ basis @ mixing @ basis.T)
        return cls(label, weight, mean, vectors / np.sqrt(size), (mixing + mixing.T) / 2, bias)


def _updated(
    table: ModeTable, x: Float[np.ndarray, "conditions chains pixels"], learned: list[_Condition], rate: float
) -> ModeTable:
    basis, kT = np.asarray(table.basis, float), float(table.kT)
    mixing, bias = np.zeros(table.mixing.shape), np.zeros(table.bias.shape)
    for number, (condition, chains) in enumerate(zip(learned, x, strict=True)):
        mean, root = condition.mean, condition.root
        white = (chains - mean) @ basis @ root
        excess = np.clip(white.T @ white / len(white) - np.eye(len(root)), -1, 1)
        mixing[number, 0] = rate * kT * root @ excess @ root.T
        bias[number, 0] = -(mean @ basis) @ mixing[number, 0] @ basis.T  # the mean does not change
        trust = len(white) / (len(white) + 10)  # smaller steps for few chains
        bias[number, 0] += rate * kT * trust * np.clip(white.mean(0), -1, 1) @ root.T @ basis.T
    changed = table.mixing + jnp.asarray(mixing, jnp.float32), table.bias + jnp.asarray(bias, jnp.float32)
    return eqx.tree_at(lambda c: (c.mixing, c.bias), table, changed)

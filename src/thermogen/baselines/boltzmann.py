"""A Boltzmann machine on the same units and modes: p(x) ~ exp(-V(x) / kT), drawn by waiting for equilibrium.

    V(x) = sum_i (J2 x_i^2 + J4 x_i^4 + b_i x_i) + x . B M B^T x / 2
    dM = rate kT Q L^-1 (C_chains - C_data) L^-1 Q^T,    db = rate kT Q L^-1 Q^T (m_chains - m_data)

Persistent contrastive divergence with Langevin dynamics as its sampler: chains start at data and are never
reset (Tieleman, ICML 2008; Younes 1999); steps are scaled by the covariance Q L Q^T of the data. M is one per
class, b one per condition. It starts from the Gaussian approximation, M = kT C^-1 less the units' stiffness.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from thermogen.baselines.base import Rival, classes_of
from thermogen.computer import Computer, make_computer
from thermogen.control import ModeTable
from thermogen.couplings import NoCouplings, Units
from thermogen.errors import require
from thermogen.generation import CONDITIONS
from thermogen.langevin import sample_uncoupled, simulate
from thermogen.training import clusters, mode_basis

_BATCH = 250


@dataclass(frozen=True)
class BoltzmannMachine(Rival):
    """A trained machine; a sample is its state after `wait`, from the equilibrium of uncoupled units."""

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
        conditions = self.table.draw(jax.random.fold_in(key, CONDITIONS), np.arange(len(labels)), labels)
        found: list[list[tuple[np.ndarray, np.ndarray]]] = [[] for _ in times]
        for first in range(0, len(labels), _BATCH):
            chosen = np.arange(first, min(first + _BATCH, len(labels)))
            numbers = jnp.asarray(chosen)
            computer = self.table.part(jnp.asarray(conditions[chosen]), 0)
            x = sample_uncoupled(start_key, self.table.uncoupled(), numbers)
            energy, done = computer.energy(x), 0
            for kept, until in zip(found, times, strict=True):
                steps = round(until / self.dt) - done
                if steps > 0:
                    x = simulate(
                        path_key, computer, x, steps=steps, dt=self.dt, samples=numbers, first_step=done
                    ).final
                done += steps
                released = (energy - computer.energy(x)) / self.table.kT
                kept.append((np.asarray(x), np.asarray(released)))
        return [
            (np.concatenate([x for x, _ in kept]), np.concatenate([heat for _, heat in kept]))
            for kept in found
        ]

    @property
    def operations(self) -> int:
        """Multiply-adds of a simulation of one sample; on a device the motion is free and costs its heat."""
        total, modes = self.table.basis.shape
        return round(self.wait / self.dt) * (2 * total * modes + modes * modes)

    @property
    def parameters(self) -> int:
        """Couplings of modes, one set per class, and biases."""
        modes = self.table.basis.shape[1]
        return len(self.classes) * modes * (modes + 1) // 2 + self.table.bias.size


def fit_boltzmann(
    key: Key[Array, ""],
    images: Float[np.ndarray, "P pixels"],
    labels: Int[np.ndarray, " P"],
    *,
    scale: float = 0.02,
    kT: float = 2e-5,
    modes: int = 128,
    conditions: int = 1,
    chains: int = 100,
    rounds: int = 20,
    steps: int = 25,
    rate: float = 0.1,
    dt: float = 0.05,
    wait: float = 100.0,
) -> BoltzmannMachine:
    """Train on images standardised one by one times `scale`, with `chains` persistent chains a class.

    The images are small so that units are nearly linear: with images that feel the quartic wall, soft modes
    run away along it and the equilibrium is no picture.

    Raises InputError for counts below 1. Cost: rounds x steps x chains x classes steps of one sample.
    """
    for name, value in (("rounds", rounds), ("chains", chains), ("conditions", conditions)):
        require(value >= 1, f"{name} = {value}: give 1 or more")
    begun = time.perf_counter()
    flat = np.asarray(images, float)
    data = scale * (flat - flat.mean(1, keepdims=True)) / flat.std(1, keepdims=True)
    units = make_computer(NoCouplings(Units(data.shape[1])), kT=kT)
    basis = mode_basis(data, min(modes, data.shape[1]))
    known = [_Class.of(data[labels == label], conditions, basis, units) for label in classes_of(labels)]
    owner = np.repeat(np.arange(len(known)), [len(one.mean) for one in known])
    table = ModeTable(
        reference=units,
        basis=jnp.asarray(basis, jnp.float32),
        mixing=jnp.asarray(np.stack([known[c].mixing for c in owner])[:, None], jnp.float32),
        bias=jnp.asarray(np.concatenate([one.bias for one in known])[:, None], jnp.float32),
        weights=jnp.asarray(np.concatenate([one.weight for one in known]), jnp.float32),
        classes=tuple(classes_of(labels)[c] for c in owner),
        duration=wait,
    )
    mean = np.concatenate([one.mean for one in known])
    rng = np.random.default_rng(int(jax.random.randint(key, (), 0, 2**31 - 1)))
    chosen, start = _chains(known, data, labels, chains, rng)
    x, state = jnp.asarray(start, jnp.float32), chosen
    for number in range(rounds):
        pieces = []
        for first in range(0, len(state), _BATCH):
            rows = np.arange(first, min(first + _BATCH, len(state)))
            computer = table.part(jnp.asarray(state[rows]), 0)
            run = simulate(
                key,
                computer,
                x[rows],
                steps=steps,
                dt=dt,
                samples=jnp.asarray(rows),
                first_step=number * steps,
            )
            pieces.append(run.final)
        x = jnp.concatenate(pieces)
        table = _updated(table, np.asarray(x), state, known, owner, mean, rate)
    name = f"Boltzmann machine, after {wait:g}"
    return BoltzmannMachine(name, classes_of(labels), time.perf_counter() - begun, table, dt, wait)


@dataclass(frozen=True)
class _Class:
    """What the data of a class say: cluster of each image, means, covariance about them, first parameters."""

    kinds: np.ndarray
    mean: np.ndarray
    weight: np.ndarray
    covariance: np.ndarray
    mixing: np.ndarray
    bias: np.ndarray

    @classmethod
    def of(cls, data: np.ndarray, conditions: int, basis: np.ndarray, units: Computer) -> _Class:
        kinds = clusters(data, conditions)
        count = np.bincount(kinds)
        mean = np.stack([data[kinds == kind].mean(0) for kind in range(len(count))])
        rest = (data - mean[kinds]) @ basis
        kT, J2, J4 = float(units.kT), float(np.asarray(units.J2)[0]), float(np.asarray(units.J4)[0])
        thermal = kT / (2 * J2)
        covariance = rest.T @ rest / len(rest) + thermal * np.eye(basis.shape[1])
        stiffness = basis.T @ ((2 * J2 + 12 * J4 * (data**2).mean(0))[:, None] * basis)
        mixing = kT * np.linalg.inv(covariance) - stiffness
        lean = mean @ basis @ mixing @ basis.T
        bias = -(2 * J2 * mean + 4 * J4 * mean**3 + lean)
        return cls(kinds, mean, count / count.sum(), covariance, (mixing + mixing.T) / 2, bias)


def _chains(known: list[_Class], data, labels, chains: int, rng) -> tuple[np.ndarray, np.ndarray]:
    """Chains start at images of their class, in the condition of that image."""
    states, starts, offset = [], [], 0
    for one, label in zip(known, classes_of(labels), strict=True):
        rows = rng.integers(0, len(one.kinds), chains)
        starts.append(data[labels == label][rows])
        states.append(offset + one.kinds[rows])
        offset += len(one.mean)
    return np.concatenate(states), np.concatenate(starts)


def _updated(table: ModeTable, x, state, known: list[_Class], owner, mean, rate: float) -> ModeTable:
    basis = np.asarray(table.basis, float)
    rest = (x - mean[state]) @ basis
    mixing, bias = np.zeros(table.mixing.shape[::2][:1] + table.mixing.shape[2:]), np.zeros(mean.shape)
    kT = float(table.kT)
    for number, one in enumerate(known):
        mine, own = owner[state] == number, np.flatnonzero(owner == number)
        size, vectors = np.linalg.eigh(one.covariance)
        root = vectors / np.sqrt(size)
        relative = root.T @ (rest[mine].T @ rest[mine] / mine.sum() - one.covariance) @ root
        value, turn = np.linalg.eigh(relative)
        step = root @ (turn * np.clip(value, -1, 1)) @ turn.T @ root.T
        mixing[own] = rate * kT * step
        for place in own:
            shift = rest[state == place]
            if len(shift):
                part = len(shift) / (len(shift) + 10)  # few chains say little
                bias[place] = rate * kT * part * np.clip(shift.mean(0) @ root, -1, 1) @ root.T @ basis.T
    changed = (
        table.mixing + jnp.asarray(mixing[:, None], jnp.float32),
        table.bias + jnp.asarray(bias[:, None], jnp.float32),
    )
    return eqx.tree_at(lambda one: (one.mixing, one.bias), table, changed)

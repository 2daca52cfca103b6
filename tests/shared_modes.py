"""Small controls through shared modes, and images to learn, for several test files."""

import jax
import jax.numpy as jnp
import numpy as np

import thermogen as tg
from thermogen.control import LabelFields, ModeNetwork, ModeTable
from thermogen.couplings import NoCouplings

UNITS = tg.Units(visible=8, hidden=4)
SCHEDULE = tg.Schedule(t_f=1.0, dt=0.02)
CLASSES = (7, 7, 3, 3, 3)


def fields(images=60, seed=0):
    """Fields with some structure; the largest is always 4, so that all share one table of moments."""
    rng = np.random.default_rng(seed)
    found = rng.normal(size=(images, 5)) @ rng.normal(size=(5, 12)) + rng.normal(size=12)
    return (4 * found / np.abs(found).max()).astype(np.float32)


def rotation(size=12, rank=12, seed=1):
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(size, size)))[0][:, :rank]


def dense_units():
    """Units of two kinds, to be coupled all to all."""
    return tg.make_computer(tg.couplings.all_to_all(UNITS), J2=np.repeat([0.7, 1.2], [5, 7]))


def mode_table(segments=2, dtype=jnp.float32, J4=1.0):
    """Five conditions of two classes with random couplings in four modes."""
    rng = np.random.default_rng(5)
    mixing = rng.normal(size=(5, segments, 4, 4))
    return ModeTable(
        reference=tg.make_computer(NoCouplings(UNITS), J4=J4, dtype=dtype),
        basis=jnp.asarray(rotation(rank=4), dtype),
        mixing=jnp.asarray(mixing + np.swapaxes(mixing, 2, 3), dtype),
        bias=jnp.asarray(rng.normal(size=(5, segments, 12)), dtype),
        weights=jnp.asarray([0.1, 0.2, 0.3, 0.15, 0.25], dtype),
        classes=CLASSES,
        duration=1.0,
    )


def mode_network(table):
    """A network of random weights on the wiring of a table."""
    rng = np.random.default_rng(6)
    mixing = rng.normal(size=(3, 4, 4))
    return ModeNetwork(
        reference=table.reference,
        basis=table.basis,
        network=ModeNetwork.perceptron(jax.random.key(0), 5, 3, 8, 1),
        mixing=jnp.asarray(mixing + np.swapaxes(mixing, 1, 2), jnp.float32),
        bias=jnp.asarray(rng.normal(size=(3, 12)), jnp.float32),
        weights=table.weights,
        classes=table.classes,
        duration=1.0,
    )


def label_fields(table):
    force = jnp.asarray(np.random.default_rng(7).normal(size=(5, 12)), jnp.float32)
    return LabelFields(
        reference=table.condition(0, 0), fields=force, weights=table.weights, classes=table.classes
    )

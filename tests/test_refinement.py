import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from shared_modes import CLASSES, SCHEDULE, UNITS, fields, mode_table, rotation

import thermogen as tg
from thermogen.control import ModeTable
from thermogen.couplings import NoCouplings
from thermogen.training import (
    TargetMoments,
    refine_moments,
    target_moments,
)

LINEAR = tg.Schedule(t_f=4.0, dt=0.1)


def linear(segments=1):
    """Linear units, two classes of one condition each, couplings too stiff by 1 E0 in every mode; images."""
    table = ModeTable(
        reference=tg.make_computer(NoCouplings(UNITS), J2=1.0, J4=0.0),
        basis=jnp.asarray(rotation(rank=4), jnp.float32),
        mixing=jnp.broadcast_to(jnp.eye(4), (2, segments, 4, 4)),
        bias=jnp.zeros((2, segments, 12)),
        weights=jnp.asarray([0.5, 0.5]),
        classes=(4, 9),
        duration=4.0,
    )
    return table, fields() / 2, np.repeat([0, 1], 30)


@pytest.fixture(scope="module")
def target():
    return target_moments(*linear(segments=2), LINEAR)


def test_target_moments_of_linear_units_are_those_of_their_ornstein_uhlenbeck_process(target):
    """x = m(t) f + noise of variance kT / 2 J2; linear interpolation on 4,001 fields is exact for a line."""
    table, force, conditions = linear(segments=2)
    t = np.linspace(0, 2, 200_001)
    slope = np.exp(2 * t) * (1 - t / 3)
    middle = np.exp(-4) * (0.5 + np.trapezoid(slope, t))
    modes = force.astype(float) @ np.asarray(table.basis, float)
    for segment, response in ((0, middle), (1, 0.5)):  # generation ends where noising starts, at full field
        for place in (0, 1):
            mine = modes[conditions == place]
            assert np.allclose(target.mean[segment, place], response * mine.mean(0), rtol=0, atol=2e-5)
            exact = response**2 * np.cov(mine, rowvar=False, ddof=0) + 0.05 * np.eye(4)
            assert np.allclose(target.covariance[segment, place], exact, rtol=0, atol=5e-5)


def test_target_moments_are_those_of_sampled_equilibrium():
    table = mode_table(segments=1)
    force, conditions = fields(6, seed=4), np.array([0, 1, 0, 2, 4, 3])
    target = target_moments(table, force, conditions, SCHEDULE)
    each = 2000
    held = eqx.tree_at(lambda c: c.bias, table.reference, jnp.asarray(-np.repeat(force, each, 0)))
    x = tg.langevin.sample_uncoupled(jax.random.key(0), held, jnp.arange(6 * each))
    modes = np.asarray(x, float).reshape(6, each, 12) @ np.asarray(table.basis, float)

    def z(values, exact):
        """Deviation of a mean over images and their samples, in standard errors."""
        error = np.sqrt((values.var(1, ddof=1) / each).sum(0)) / len(values)
        return np.abs(values.mean((0, 1)) - exact) / error

    for condition in range(5):
        assert z(modes[conditions == condition], target.mean[0, condition]).max() < 4
    rest = modes - target.mean[0][conditions][:, None]
    products = rest[..., :, None] * rest[..., None, :]
    for place, label in enumerate(table.labels):
        mine = np.asarray(CLASSES)[conditions] == label
        assert z(products[mine], target.covariance[0, place]).max() < 4
    # Moments about the means of other images.
    shifted = target_moments(table, force, conditions, SCHEDULE, target.mean + 1.0)
    assert np.allclose(shifted.covariance - target.covariance, 1.0, atol=1e-3)
    mixed = eqx.tree_at(lambda c: c.reference.J2, table, jnp.linspace(1, 2, 12))
    with pytest.raises(tg.InputError, match="units are not alike"):
        target_moments(mixed, force, conditions, SCHEDULE)


@pytest.mark.parametrize("preconditioned", [True, False])
def test_refinement_finds_the_moments_and_the_couplings_of_the_data(target, preconditioned):
    """Linear units that relax within t_f: C (2 A - A^2 dt) = 2 kT with A = 2 J2 + M, and b = -A mean.

    Three seeds against the sampling error: the covariance of n Gaussian samples is off by
    |D|_F^2 = (tr(C)^2 + |C|_F^2) / n. Couplings that follow it with rate r add r / (2 - r) of its square.
    """
    table, *_ = linear()
    target = TargetMoments(target.mean[-1:], target.covariance[-1:])
    mean, covariance = target.mean[-1], target.covariance[-1]
    # Means that are right for the wrong couplings: else their error looks like variance at first.
    start = eqx.tree_at(lambda c: c.bias, table, jnp.asarray(-3 * mean, jnp.float32)[:, None] @ table.basis.T)
    samples, rounds, rate = 1000, 13, 0.5 if preconditioned else 1.0
    noise = np.mean([np.sqrt((np.trace(C) ** 2 / (C**2).sum() + 1) / (samples / 2)) for C in covariance])
    settings = {"rounds": rounds, "samples": samples, "rate": rate, "preconditioned": preconditioned}
    found = [
        refine_moments(jax.random.key(seed), start, target, LINEAR, **settings, held_out=target)
        for seed in range(3)
    ]
    course = np.mean([[one.mismatch for one in each.rounds] for each in found], 0)
    size, vectors = np.linalg.eigh(covariance)
    stiffness = (1 - np.sqrt(1 - 2 * 0.1 * 0.1 / size)) / 0.1
    A = vectors * stiffness[:, None] @ vectors.mT
    off = np.mean([each.control.mixing[:, 0] for each in found], 0) - (A - 2 * np.eye(4))
    tilt = np.mean([each.control.bias[:, 0] @ table.basis for each in found], 0) + np.einsum(
        "kab,kb->ka", A, mean
    )
    assert len(course) == rounds + 1
    assert course[0] > 4 * noise
    assert course[-1] < (1.5 if preconditioned else 2) * noise
    assert all(one.mismatch == one.held_out for each in found for one in each.rounds)
    if preconditioned:
        assert np.linalg.norm(off) < 0.2 * np.linalg.norm(3 * np.eye(4) - A)
        assert np.linalg.norm(tilt) < 0.2 * np.linalg.norm(3 * mean)
    assert found[0].control.classes == (4, 9)


def test_refinement_along_the_segments_and_what_it_refuses(target):
    table, *_ = linear(segments=2)
    seen = []
    for along in (False, True):
        result = refine_moments(
            jax.random.key(0),
            table,
            target,
            LINEAR,
            rounds=1,
            samples=200,
            along=along,
            progress=seen.append,
        )
        changed = np.abs(np.asarray(result.control.mixing - table.mixing)).max((0, 2, 3)) > 1e-4
        assert changed.tolist() == [along, True]
    assert seen == [0, 1, 0, 1]
    with pytest.raises(tg.InputError, match="rate = 0"):
        refine_moments(jax.random.key(0), table, target, LINEAR, rate=0)
    with pytest.raises(tg.InputError, match="samples = 1 for 2 conditions"):
        refine_moments(jax.random.key(0), table, target, LINEAR, samples=1)

"""The time step as the loop runs it: cut states, other noise, products of fewer bits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import thermogen as tg
from thermogen.couplings import SplitState, narrowed
from thermogen.langevin import INTEGRATORS, EulerMaruyama, StochasticHeun, named_integrator

UNITS = tg.Units(visible=12, hidden=7, output=4)
KEY = jax.random.key(3)


def couplings(topology, scale=0.3, seed=0):
    empty = topology(UNITS)
    matrix = np.random.default_rng(seed).normal(size=(UNITS.total,) * 2) * scale
    return empty.with_matrix(jnp.asarray(matrix + matrix.T, jnp.float32))


def computer(topology=tg.published_couplings, **given):
    rng = np.random.default_rng(1)
    return tg.make_computer(couplings(topology), bias=0.2 * rng.normal(size=UNITS.total), **given)


def states(rows=5, seed=2):
    return jnp.asarray(np.random.default_rng(seed).normal(size=(rows, UNITS.total)), jnp.float32)


@pytest.mark.parametrize(
    "topology",
    [
        tg.published_couplings,
        tg.couplings.all_to_all,
        lambda units: tg.couplings.from_links(units, "hidden-output"),
    ],
)
def test_products_of_a_state_cut_by_role_are_those_of_the_whole_state(topology):
    held = couplings(topology)
    ready = held.prepared().for_split_state()
    x = states()
    assert ready.cuts == (0, 12, 19, 23)
    received = ready.apply_split(SplitState.of(x, ready.cuts))
    assert [part.shape for part in received.arrays] == [(5, 12), (5, 7), (5, 4)]
    assert np.allclose(received.joined(), x @ held.matrix(), atol=1e-5)
    assert np.allclose(ready.matrix(), held.matrix(), atol=1e-6)
    assert np.allclose(ready.apply(x[0]), held.apply(x[0]), atol=1e-5)


def test_parts_reckon_like_whole_arrays():
    x, y = states(seed=3), states(seed=4)
    a, b = (SplitState.of(one, (0, 12, 23)) for one in (x, y))
    two = jnp.asarray(2.0)
    assert np.allclose((-(a * b - b * two) / 4 + two * a + (a + b) / two).joined(),
                       -(x * y - 2 * y) / 4 + 2 * x + (x + y) / 2, atol=1e-6)  # fmt: skip
    with pytest.raises(AssertionError, match="cut like the state"):
        a * x[0]


@pytest.mark.parametrize("name", INTEGRATORS)
@pytest.mark.parametrize("mobility", [1.0, np.linspace(0.5, 2.0, UNITS.total)])
def test_a_step_of_a_cut_state_is_the_step_of_the_whole_state(name, mobility):
    """The published wiring is cut by role; the same J on one dense block is not: the same paths."""
    cut = computer(mobility=mobility)
    units = tg.Units(visible=UNITS.total)
    whole = tg.make_computer(
        tg.couplings.all_to_all(units).with_matrix(cut.couplings.matrix()),
        bias=np.asarray(cut.bias),
        mobility=mobility,
    )
    x = states()
    run = {"steps": 45, "dt": 0.01, "integrator": named_integrator(name), "every": 15}
    one, other = (
        tg.simulate(
            KEY,
            each,
            x,
            observers={"path": tg.langevin.Snapshots(), "ledger": tg.langevin.HeatAndWork()},
            **run,
        )
        for each in (cut, whole)
    )
    assert np.allclose(one.final, other.final, atol=1e-5)
    assert np.allclose(one.records["path"], other.records["path"], atol=1e-5)
    heat, work = (np.asarray(one.records["ledger"][part])[-1] for part in ("heat", "work"))
    assert np.allclose(cut.energy(one.final) - cut.energy(x), work - heat, atol=1e-4)
    assert np.allclose(heat, other.records["ledger"]["heat"][-1], atol=1e-4)


def test_products_in_bfloat16_are_right_to_eight_bits_and_only_products_are_rounded():
    rounded = EulerMaruyama(products="bfloat16")
    x = states(rows=40)
    kinds = {
        "blocks": couplings(tg.published_couplings),
        "factors": tg.couplings.compress(
            couplings(tg.published_couplings), np.eye(UNITS.total), 1e-3
        ).couplings,
    }
    for held in kinds.values():
        ready = narrowed(held.prepared().for_split_state())
        exact = np.asarray(x, float) @ np.asarray(held.matrix(), float)
        size = np.abs(np.asarray(x, float)) @ np.abs(np.asarray(held.matrix(), float))
        error = np.abs(np.asarray(ready.apply(x)) - exact)
        assert 1e-5 < error.max() < (2.1 * 2**-8 * size).max()
        both = [
            tg.simulate(KEY, tg.make_computer(held), x, steps=20, dt=0.01, integrator=each).final
            for each in (EulerMaruyama(), rounded)
        ]
        assert 0 < np.abs(both[0] - both[1]).max() < 0.02
    free = tg.make_computer(couplings(tg.published_couplings)).uncoupled()
    with pytest.raises(tg.InputError, match="NoCouplings"):
        tg.simulate(KEY, free, x, steps=2, dt=0.01, integrator=rounded)


def test_a_double_precision_state_has_double_precision_products():
    with jax.enable_x64(True):
        wide = tg.make_computer(couplings(tg.published_couplings), dtype=jnp.float64)
        x = states().astype(jnp.float64)
        end = np.asarray(tg.simulate(KEY, wide, x, steps=10, dt=1e-3).final)
        assert end.dtype == np.float64
        J = np.asarray(wide.couplings.matrix())
        keys = tg.langevin.sample_keys(KEY, jnp.arange(len(x)))
        y = np.asarray(x)
        for k in range(10):
            noise = np.asarray(tg.langevin.standard_normal(keys, k, UNITS.total, jnp.float64))
            y = y - 1e-3 * (2 * y + 4 * y**3 + y @ J) + np.sqrt(2 * 0.1 * 1e-3) * noise
    assert np.abs(end - y).max() < 1e-12


@pytest.mark.parametrize(("name", "tolerance"), [("euler", 0.35), ("heun", 0.02)])
def test_three_point_noise_has_the_bias_of_the_method_and_no_more(name, tolerance):
    """<x^2> and <x^4> of one unit in equilibrium against quadrature, at a large step, n = 200,000."""
    alone = tg.make_computer(tg.couplings.NoCouplings(tg.Units(500)))
    x = tg.langevin.sample_uncoupled(KEY, alone, jnp.arange(400))
    method = named_integrator(name, noise="three-point")
    dt = 0.05
    end = np.asarray(tg.simulate(KEY, alone, x, steps=60, dt=dt, integrator=method).final, float)
    gauss = np.asarray(
        tg.simulate(KEY, alone, x, steps=60, dt=dt, integrator=named_integrator(name)).final, float
    )
    grid = np.linspace(-3, 3, 6001)
    density = np.exp(-(grid**2 + grid**4) / 0.1)
    for power in (2, 4):
        exact = (grid**power * density).sum() / density.sum()
        spread = (end**power).std() / np.sqrt(end.size)
        assert abs((end**power).mean() - exact) < tolerance * exact + 4 * spread
        assert abs((end**power).mean() - (gauss**power).mean()) < 6 * spread + 0.25 * dt * exact
    assert abs(end.mean()) < 4 * end.std() / np.sqrt(end.size)


def test_unknown_noise_and_products_are_refused_by_name():
    with pytest.raises(tg.InputError, match="unknown noise 'pink': choose one of gaussian, three-point"):
        EulerMaruyama(noise="pink")
    with pytest.raises(tg.InputError, match="unknown products 'int4': choose one of full, bfloat16"):
        StochasticHeun(products="int4")

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import thermogen as tg
from thermogen.couplings import checked_matrix

UNITS = tg.Units(visible=6, hidden=4, output=3)
TOPOLOGIES = {
    "published": lambda: tg.published_couplings(UNITS),
    "all": lambda: tg.couplings.all_to_all(UNITS),
    "visible-output only": lambda: tg.couplings.from_links(UNITS, "visible-output"),
    "sources apart": lambda: tg.couplings.from_links(UNITS, "visible-hidden", "hidden-output"),
    "planes": lambda: tg.couplings.planes(UNITS, 2, 3),
    "dense mask": lambda: tg.couplings.from_mask(UNITS, random_symmetric(13) > -0.2),
    "none": lambda: tg.couplings.NoCouplings(UNITS),
}


def random_symmetric(total, seed=0):
    matrix = np.random.default_rng(seed).normal(size=(total, total))
    matrix = matrix + matrix.T
    np.fill_diagonal(matrix, 0)
    return matrix


def hold_the_contract(couplings, seed=0):
    """Every way of holding couplings is the same matrix."""
    total = couplings.units.total
    wired = np.asarray(couplings.mask())
    assert np.array_equal(wired, wired.T)
    assert not np.diagonal(wired).any()
    couplings = couplings.with_matrix(jnp.asarray(random_symmetric(total, seed), jnp.float32))
    J = np.asarray(couplings.matrix())
    assert np.array_equal(J, np.where(wired, random_symmetric(total, seed).astype(np.float32), 0))
    rng = np.random.default_rng(seed + 1)
    x = jnp.asarray(rng.normal(size=(2, 3, total)), jnp.float32)
    assert np.allclose(couplings.apply(x), x @ J, atol=1e-5)
    assert np.allclose(couplings.prepared().apply(x), x @ J, atol=1e-5)
    assert np.allclose(couplings.energy(x), 0.5 * np.sum(np.asarray(x) * (x @ J), -1), atol=1e-4)
    r = jnp.asarray(rng.normal(size=(7, total)), jnp.float32)
    y = jnp.asarray(rng.normal(size=(7, total)), jnp.float32)
    outer = np.asarray(couplings.outer(r, y).matrix())
    assert np.allclose(outer, np.where(wired, r.T @ y + y.T @ r, 0), atol=1e-4)
    assert couplings.count() == np.triu(wired).sum()


@pytest.mark.parametrize("name", TOPOLOGIES)
def test_every_topology_holds_the_contract(name):
    hold_the_contract(TOPOLOGIES[name]())


@settings(max_examples=12, deadline=None)
@given(st.integers(1, 6), st.integers(0, 5), st.integers(0, 3), st.floats(0.02, 1.0), st.integers(0, 1000))
def test_any_mask_holds_the_contract(visible, hidden, output, density, seed):
    units = tg.Units(visible, hidden, output)
    mask = np.random.default_rng(seed).random((units.total, units.total)) < density
    mask = mask | mask.T
    np.fill_diagonal(mask, False)
    if not mask.any():
        with pytest.raises(tg.InputError, match="couples no pair"):
            tg.couplings.from_mask(units, mask)
        return
    couplings = tg.couplings.from_mask(units, mask)
    assert np.array_equal(couplings.mask(), mask)
    hold_the_contract(couplings, seed)


def test_a_sparse_mask_is_held_as_edges():
    mask = np.zeros((40, 40), bool)
    mask[3, 7] = mask[7, 3] = True
    couplings = tg.couplings.from_mask(tg.Units(40), mask)
    assert isinstance(couplings, tg.couplings.EdgeCouplings)
    assert couplings.count() == 1


def test_the_published_wiring_couples_no_visible_units_and_multiplies_no_empty_block():
    couplings = tg.published_couplings(tg.Units(784, 512))
    assert {name: block.shape for name, block in couplings.blocks.items()} == {
        "visible-hidden": (784, 512),
        "hidden-hidden": (512, 512),
    }
    products = sum(matrix.size for matrix in couplings.prepared().matrices)
    assert products == 2 * 784 * 512 + 512 * 512  # 1.06 of 1.68 million


def test_planes_by_hand():
    # Two planes of 2 x 3: 0 1 2 / 3 4 5 and 6 7 8 / 9 10 11.
    mask = np.asarray(tg.couplings.planes(tg.Units(6, 6), 2, 3).mask())
    assert np.flatnonzero(mask[0]).tolist() == [1, 3, 6]
    assert np.flatnonzero(mask[4]).tolist() == [1, 3, 5, 10]
    assert np.flatnonzero(mask[8]).tolist() == [2, 7, 11]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: tg.couplings.from_links(UNITS, "visible-left"), "unknown link 'visible-left'"),
        (lambda: tg.couplings.from_links(UNITS), "no link given"),
        (lambda: tg.couplings.from_links(tg.Units(3, 2), "hidden-output"), "joins a role without units"),
        (lambda: tg.couplings.planes(tg.Units(7), 2, 3), "planes of 2 x 3 do not hold 7 visible units"),
        (lambda: tg.Units(-1), "visible units = -1"),
        (lambda: tg.Units(0), "at least one unit"),
        (lambda: checked_matrix(np.zeros((3, 3)), UNITS), r"shape \(3, 3\) but the computer has 13 units"),
        (lambda: checked_matrix(np.full((13, 13), np.nan), UNITS), "NaN"),
        (lambda: checked_matrix(np.eye(13), UNITS), "couples unit 0 to itself"),
        (lambda: checked_matrix(np.triu(np.ones((13, 13)), 1), UNITS), r"not symmetric: entry \(0, 1\) is 1"),
        (lambda: tg.couplings.from_mask(UNITS, np.triu(np.ones((13, 13)))), "mask is not symmetric"),
        (lambda: tg.make_computer(tg.published_couplings(UNITS), kT=-1), "kT = -1"),
        (lambda: tg.make_computer(tg.published_couplings(UNITS), mobility=0), "mobility = 0"),
        (
            lambda: tg.make_computer(tg.published_couplings(UNITS), J2=np.ones(4)),
            r"J2 has shape \(4,\) for 13 units",
        ),
        (lambda: tg.make_computer(tg.published_couplings(UNITS), bias=np.nan), "bias holds NaN"),
        (lambda: tg.make_computer(tg.published_couplings(UNITS), J4=0.0, J2=-1.0), "is not confined"),
    ],
)
def test_bad_values_are_named(call, message):
    with pytest.raises(tg.InputError, match=message):
        call()


def test_energy_parts_add_up():
    computer = tg.make_computer(
        tg.couplings.all_to_all(UNITS).with_matrix(jnp.asarray(random_symmetric(13), jnp.float32)),
        bias=np.arange(13.0),
    )
    x = jax.random.normal(jax.random.key(0), (4, 13))
    parts = computer.energy_parts(x)
    y, J = np.asarray(x, float), random_symmetric(13)
    assert np.allclose(parts.on_site, (y**2 + y**4).sum(1), rtol=1e-5)
    assert np.allclose(parts.bias, y @ np.arange(13.0), rtol=1e-4, atol=1e-4)
    pairs = sum(J[i, j] * y[:, i] * y[:, j] for i in range(13) for j in range(i))
    assert np.allclose(parts.coupling, pairs, rtol=1e-4, atol=1e-4)
    assert np.allclose(computer.energy(x), parts.on_site + parts.bias + parts.coupling)


def test_a_computer_is_built_inside_a_gradient():
    x = jnp.asarray([0.3, -0.2, 0.5])

    def energy(matrix):
        couplings = tg.couplings.all_to_all(tg.Units(3)).with_matrix(matrix)
        return tg.make_computer(couplings).energy(x)

    slope = jax.grad(energy)(jnp.zeros((3, 3)))
    pairs = np.outer(x, x) - np.diag(np.asarray(x) ** 2)
    assert np.allclose(slope + slope.T, pairs, atol=1e-6)

"""Units of another kind: a subclass of `Computer` with a potential of its own."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array, Float

import thermogen as tg
from thermogen.couplings import SplitState
from thermogen.langevin.stability import coupling_norm
from thermogen.storage.arrays import pack
from thermogen.thermodynamics import log_partition, uncoupled_entropy


class Ring(tg.Computer):
    """Units in a loop with a junction: J2 x^2 + J4 x^4 + E_J (1 - cos x)."""

    junction: Float[Array, " N"]

    def own_energy(self, x):
        return super().own_energy(x) + self.junction * (1 - jnp.cos(x))

    def own_slope(self, x):
        return super().own_slope(x) + self.junction * jnp.sin(x)

    def own_curvature(self, x):
        return super().own_curvature(x) + self.junction * jnp.cos(x)


def ring(computer, junction):
    return Ring(**vars(computer), junction=junction)


@pytest.fixture
def coupled():
    """Twelve visible and eight hidden units, each with a junction of its own, all coupled."""
    units = tg.Units(visible=12, hidden=8)
    keys = jax.random.split(jax.random.key(3), 3)
    matrix = 0.3 * jax.random.normal(keys[0], (20, 20))
    wiring = tg.published_couplings(units).with_matrix(matrix + matrix.T)
    computer = tg.make_computer(wiring, bias=np.asarray(jax.random.normal(keys[1], (20,))), J4=0.5)
    return ring(computer, 2 * jax.random.normal(keys[2], (20,)))


def test_force_and_curvature_are_derivatives_of_the_energy_whole_and_cut(coupled):
    x = 1.5 * jax.random.normal(jax.random.key(4), (5, 20))
    np.testing.assert_allclose(coupled.force(x), -jax.vmap(jax.grad(coupled.energy))(x), atol=2e-5)
    hessian = jax.vmap(jax.hessian(coupled.energy))(x) - coupled.couplings.matrix()
    np.testing.assert_allclose(coupled.own_curvature(x), jnp.diagonal(hessian, 0, 1, 2), atol=2e-4)
    laid_out = eqx.tree_at(lambda c: c.couplings, coupled, coupled.couplings.prepared().for_split_state())
    cuts = laid_out.couplings.cuts
    assert len(cuts) > 2
    parts = laid_out.split_force(SplitState.of(x, cuts), cuts)
    np.testing.assert_allclose(parts.joined(), coupled.force(x), atol=1e-5)


def test_units_alone_keep_their_own_parameters(coupled):
    some = coupled.alone(5, 9)
    x = jax.random.normal(jax.random.key(5), (3, 20))
    np.testing.assert_array_equal(some.own_energy(x[:, 5:9]), coupled.own_energy(x)[:, 5:9])
    np.testing.assert_array_equal(some.bias, coupled.bias[5:9])
    assert some.units.total == 4


@pytest.mark.parametrize("units", [3, 5000], ids=["one table", "tables of 4,096 units"])
def test_equilibrium_is_that_of_the_new_potential(units):
    """Two kinds of junction in turn: moments of 40,000 states, or of 16 states of 2,500 units each."""
    computer = tg.make_computer(
        tg.couplings.from_pairs(tg.Units(units), np.array([[0, 1]])), kT=0.5, bias=0.3
    )
    kinds = jnp.where(jnp.arange(units) % 2 == 0, 3.0, -3.0)
    computer = ring(computer, kinds)
    samples = 40_000 if units == 3 else 16
    x = np.asarray(tg.langevin.sample_uncoupled(jax.random.key(6), computer, jnp.arange(samples)), float)
    grid = np.linspace(-4, 4, 4001)
    for kind in (0, 1):
        energy = grid**2 + grid**4 + 0.3 * grid + (3, -3)[kind] * (1 - np.cos(grid))
        weight = np.exp(-energy / 0.5)
        for power in (1, 2, 4):
            exact = (grid**power * weight).sum() / weight.sum()
            found = x[:, kind::2] ** power
            error = found.std() / found.size**0.5
            assert abs(found.mean() - exact) < 4 * error


def test_entropy_is_that_of_the_new_potential():
    computer = ring(tg.make_computer(tg.couplings.all_to_all(tg.Units(2)), kT=0.5), jnp.asarray([3.0, 3.0]))
    grid = np.linspace(-4, 4, 4001)
    weight = np.exp(-(grid**2 + grid**4 + 3 * (1 - np.cos(grid))) / 0.5)
    density = weight / (weight.sum() * (grid[1] - grid[0]))
    exact = -(density * np.log(np.maximum(density, 1e-300))).sum() * (grid[1] - grid[0])
    assert uncoupled_entropy(computer) == pytest.approx(2 * exact, abs=2e-4)


def test_a_stable_step_sees_the_stiffest_place(coupled):
    plain = tg.make_computer(coupled.couplings, bias=np.asarray(coupled.bias), J4=0.5)
    stiff = ring(plain, jnp.full(20, 500.0))
    assert tg.stable_dt(ring(plain, jnp.zeros(20))) == tg.stable_dt(plain)
    # At x = 0 the junction alone has a curvature of 500.
    assert tg.stable_dt(stiff) == pytest.approx(2 / (502 + coupling_norm(plain)), rel=1e-4)


@pytest.mark.parametrize("update", ["batch", "online"])
def test_sampled_training_lowers_the_loss_of_new_units(update):
    units = tg.Units(visible=6, hidden=4)
    computer = ring(tg.make_computer(tg.published_couplings(units)), jnp.full(10, 1.0))
    images = np.array([[1, 1, 1, -1, -1, -1], [1, -1, 1, -1, 1, -1]], float)
    fields = tg.imprint_fields(images, [0, 1], hidden=4, imprint="tile")
    schedule = tg.Schedule(dt=0.01)
    result = tg.train(
        jax.random.key(7), computer, fields, schedule, tg.Rule(update), cycles=60, validation_paths=0
    )
    assert type(result.computer) is Ring
    np.testing.assert_array_equal(result.computer.junction, 1.0)
    before, after = (
        np.asarray(tg.training.path_loss(jax.random.key(8), one, fields, schedule, jnp.arange(200)))
        for one in (computer, result.computer)
    )
    gain = before - after
    assert gain.mean() > 4 * gain.std(ddof=1) / len(gain) ** 0.5


def test_what_knows_quartic_units_alone_says_so(coupled):
    schedule = tg.Schedule(dt=0.01)
    for call in (
        lambda: tg.train_exact(jax.random.key(0), coupled, jnp.eye(2, 20), schedule),
        lambda: pack(coupled),
        lambda: coupled.alike(),
        lambda: log_partition(ring(tg.make_computer(tg.couplings.all_to_all(tg.Units(2))), jnp.ones(2))),
    ):
        with pytest.raises(tg.InputError, match=r"units of Ring have a potential of their own: .* alone"):
            call()

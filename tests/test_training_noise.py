"""Imperfect training hardware: each error against its definition, and a stored coupling against its grid."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import thermogen as tg
from thermogen.langevin.noise import sample_keys, standard_uniform
from thermogen.training.sampled.noise import Disturbance, residual_unit
from thermogen.training.sampled.rules import run_cycle, start_optimizer

UNITS = tg.Units(visible=12, hidden=9)
SCHEDULE = tg.Schedule(t_f=0.4, dt=0.01)
KEY = jax.random.key(3)


def problem():
    images = np.random.default_rng(0).normal(size=(2, UNITS.visible))
    return tg.make_computer(tg.published_couplings(UNITS)), tg.imprint_fields(images, [0, 1], UNITS.hidden)


def cycle(rule, computer=None, number=0):
    start, fields = problem()
    computer = start if computer is None else computer
    state = start_optimizer(rule, computer, SCHEDULE)
    return run_cycle(KEY, computer, state, fields, SCHEDULE, rule, jnp.asarray(number)).computer


def matrix(computer):
    return np.asarray(computer.couplings.matrix(), float)


# --- storage --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", [2, 4, 8, 16])
def test_stored_couplings_lie_on_their_grid_and_near_what_was_asked(bits):
    rng = np.random.default_rng(1)
    J = rng.normal(size=(UNITS.total, UNITS.total)).astype(np.float32)
    couplings = tg.published_couplings(UNITS).with_matrix(jnp.asarray(J + J.T))
    stored = tg.couplings.quantised(couplings, bits)
    for link, block in couplings.blocks.items():
        step = float(jnp.abs(block).max()) / (2 ** (bits - 1) - 1)
        places = np.asarray(stored.blocks[link], float) / step
        rounding = 2.0 ** (bits - 23)  # of float32, in steps
        assert np.abs(places - places.round()).max() < rounding
        assert np.abs(places).max() <= 2 ** (bits - 1) - 1 + rounding
        assert np.abs(np.asarray(stored.blocks[link] - block)).max() <= step * (0.5 + rounding)
    again = tg.couplings.quantised(stored, bits)
    assert np.allclose(again.matrix(), stored.matrix(), atol=1e-6)
    held = np.asarray(stored.matrix())
    assert np.array_equal(held, held.T)


def test_storage_keeps_masks_zeros_and_the_full_scale():
    wired = np.random.default_rng(5).random((UNITS.total, UNITS.total)) < 0.3
    couplings = tg.couplings.from_mask(UNITS, wired | wired.T)
    assert not np.asarray(tg.couplings.quantised(couplings, 4).matrix()).any()
    full = couplings.with_matrix(jnp.ones((UNITS.total, UNITS.total)))
    clipped = np.asarray(tg.couplings.quantised(full, 8, full_scale=0.5).matrix())
    assert set(np.unique(clipped.round(5))) <= {0.0, 0.5}
    assert not clipped[~np.asarray(couplings.mask())].any()


@pytest.mark.parametrize(
    ("bits", "scale", "message"), [(1, None, "bits = 1"), (25, None, "bits = 25"), (4, 0.0, "full_scale = 0")]
)
def test_grids_that_cannot_be_are_refused(bits, scale, message):
    with pytest.raises(tg.InputError, match=message):
        tg.couplings.quantised(tg.published_couplings(UNITS), bits, scale)


def test_stochastic_rounding_is_right_on_average():
    computer, _ = problem()
    value = 0.0137  # between two levels of 6 bits in 0.25: 1.69 steps of 0.00806
    full = computer.couplings.with_matrix(jnp.full((UNITS.total, UNITS.total), value))
    noise = tg.training.TrainingNoise(bits=6, rounding="stochastic")
    disturbance = Disturbance(noise, KEY, jnp.arange(1), computer)
    draws = np.stack([matrix_of(disturbance.stored(full, jnp.asarray(step))) for step in range(300)])
    pairs = draws[:, np.asarray(full.mask()) & np.triu(np.ones((UNITS.total,) * 2, bool))]
    assert np.array_equal(draws, np.swapaxes(draws, 1, 2))  # mirrored pairs are one coupler
    error = pairs.std() / np.sqrt(pairs.size)
    assert abs(pairs.mean() - value) < 4 * error
    level = 0.25 / 31
    assert set(np.unique((pairs / level).round().astype(int))) == {1, 2}


def matrix_of(couplings):
    return np.asarray(couplings.matrix(), float)


def test_uniform_numbers_are_uniform():
    numbers = np.asarray(standard_uniform(sample_keys(KEY, jnp.arange(50)), 7, 400, jnp.float32), float)
    assert numbers.min() >= 0
    assert numbers.max() < 1
    assert abs(numbers.mean() - 0.5) < 4 / np.sqrt(12 * numbers.size)
    assert abs((numbers**2).mean() - 1 / 3) < 4 * np.sqrt(4 / 45 / numbers.size)


# --- errors of residuals and updates --------------------------------------------------------------------


@pytest.mark.parametrize("rule", ["batch", "online", "delayed"])
def test_no_flaw_changes_no_bit(rule):
    bare = cycle(tg.Rule(rule, rate=0.02))
    same = cycle(tg.Rule(rule, rate=0.02, noise=tg.training.TrainingNoise(bits=None, rounding="stochastic")))
    assert np.array_equal(matrix(bare), matrix(same))
    assert np.array_equal(bare.bias, same.bias)


def test_errors_of_residuals_have_the_variance_and_the_correlation_asked_for():
    computer, _ = problem()
    noise = tg.training.TrainingNoise(residual_noise=2.0, correlation=0.8)
    disturbance = Disturbance(noise, KEY, jnp.arange(40), computer)
    unit = residual_unit(computer, jnp.asarray(0.01))
    assert float(unit) == pytest.approx(np.sqrt(0.01 / 0.2))
    first, memory = disturbance.errors(disturbance.start(600), 0, 200, unit)
    second, _ = disturbance.errors(memory, 200, 400, unit)
    whole, _ = disturbance.errors(disturbance.start(600), 0, 600, unit)
    assert np.allclose(np.concatenate([first, second]), whole, atol=1e-6)  # stretches change nothing
    e = np.asarray(whole, float) / float(unit)
    independent = e[0].size * 600 * (1 - 0.8) / (1 + 0.8)
    assert abs(e.var() - 4) < 4 * 4 * np.sqrt(2 / independent)
    assert abs((e[1:] * e[:-1]).mean() / e.var() - 0.8) < 4 * np.sqrt((1 - 0.64) / e.size) + 1e-3
    assert abs(e[0].var() - 4) < 4 * 4 * np.sqrt(2 / e[0].size)  # stationary from the first step


def test_an_offset_is_one_number_for_each_unit_of_a_training():
    computer, _ = problem()
    disturbance = Disturbance(tg.training.TrainingNoise(offset=0.5), KEY, jnp.arange(3), computer)
    other = Disturbance(tg.training.TrainingNoise(offset=0.5), KEY, jnp.arange(5, 8), computer)
    errors, _ = disturbance.errors(disturbance.start(9), 0, 4, jnp.asarray(1.0))
    later, _ = other.errors(other.start(9), 4, 4, jnp.asarray(1.0))
    assert np.array_equal(errors, np.broadcast_to(errors[0, 0], errors.shape))
    assert np.array_equal(errors, np.broadcast_to(later[0, 0], errors.shape))


@pytest.mark.parametrize(
    "noise",
    [
        tg.training.TrainingNoise(residual_noise=1.5),
        tg.training.TrainingNoise(offset=0.7),
        tg.training.TrainingNoise(residual_noise=1.0, correlation=0.9),
    ],
)
def test_the_recursion_learns_from_wrong_residuals_as_the_rule_literally_does(noise):
    """The online recursion against the same updates applied to the matrix one by one, as masks demand."""
    rule = tg.Rule("online", rate=0.02, noise=noise)
    fast = cycle(rule)
    start, _ = problem()
    masks = {link: jnp.ones(block.shape, bool) for link, block in start.couplings.blocks.items()}
    masks["hidden-hidden"] = ~jnp.eye(UNITS.hidden, dtype=bool)
    literal = cycle(rule, tg.make_computer(tg.couplings.BlockCouplings(UNITS, start.couplings.blocks, masks)))
    clean = cycle(tg.Rule("online", rate=0.02))
    assert np.allclose(matrix(fast), matrix(literal), atol=2e-5)
    assert np.allclose(fast.bias, literal.bias, atol=2e-5)
    assert np.abs(matrix(fast) - matrix(clean)).max() > 1e-3


@pytest.mark.parametrize("delay", [1, 7])
def test_noise_of_updates_adds_up_to_its_variance(delay):
    """Couplings after a cycle, less those without noise: rate^2 sigma^2 r_0^2 for each update, mirrored."""
    rate, sigma = 1e-6, 30.0  # so small that nothing learnt feeds back
    rule = tg.Rule("delayed", delay=delay, rate=rate, noise=tg.training.TrainingNoise(update_noise=sigma))
    bare = matrix(cycle(tg.Rule("delayed", delay=delay, rate=rate)))
    noise = np.stack([matrix(cycle(rule, number=number)) - bare for number in range(0, 60, 2)])
    pairs = np.triu(np.asarray(problem()[0].couplings.mask()))
    assert np.array_equal(noise, np.swapaxes(noise, 1, 2))
    values = noise[:, pairs]
    updates = -(-SCHEDULE.steps // delay)
    expected = rate * sigma * np.sqrt(0.01 / 0.2) * np.sqrt(updates)
    assert values.std() == pytest.approx(expected, rel=4 / np.sqrt(2 * values.size) + 0.01)


def test_noise_of_a_batch_update_is_that_of_one_update():
    rate, sigma = 1e-6, 30.0
    rule = tg.Rule(
        "batch", rate=rate, noise=tg.training.TrainingNoise(update_noise=sigma)
    )  # once for the trajectory
    difference = matrix(cycle(rule)) - matrix(cycle(tg.Rule("batch", rate=rate)))
    values = difference[np.triu(np.asarray(problem()[0].couplings.mask()))]
    expected = rate * sigma * np.sqrt(0.01 / 0.2)
    assert values.std() == pytest.approx(expected, rel=4 / np.sqrt(2 * values.size))


def test_small_updates_to_the_nearest_level_are_lost_and_stochastic_ones_are_not():
    stuck = cycle(tg.Rule("online", rate=1e-4, noise=tg.training.TrainingNoise(bits=6)))
    moved = cycle(
        tg.Rule("online", rate=1e-4, noise=tg.training.TrainingNoise(bits=6, rounding="stochastic"))
    )
    fine = cycle(tg.Rule("online", rate=1e-4, noise=tg.training.TrainingNoise(bits=20)))
    bare = cycle(tg.Rule("online", rate=1e-4))
    assert not matrix(stuck).any()
    assert matrix(moved).any()
    assert np.allclose(matrix(fine), matrix(bare), atol=40 * 0.25 / 2**19)
    level = 0.25 / 31
    assert np.allclose(matrix(moved) / level, (matrix(moved) / level).round(), atol=1e-3)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"update_noise": -1.0}, "update_noise = -1"),
        ({"residual_noise": float("nan")}, "residual_noise = nan"),
        ({"offset": float("inf")}, "offset = inf"),
        ({"correlation": 1.0}, "correlation = 1"),
        ({"bits": 1}, "bits = 1"),
        ({"full_scale": 0.0}, "full_scale = 0"),
        ({"rounding": "down"}, "unknown rounding 'down'"),
    ],
)
def test_noise_that_no_device_has_is_refused(wrong, message):
    with pytest.raises(tg.InputError, match=message):
        tg.training.TrainingNoise(**wrong)


def test_flawed_updates_need_blocks():
    units = tg.Units(visible=4)
    computer = tg.make_computer(tg.couplings.EdgeCouplings.from_pairs(units, np.array([[0, 1], [1, 2]])))
    fields = tg.imprint_fields(np.random.default_rng(0).normal(size=(2, 4)), [0, 1], 0)
    with pytest.raises(tg.InputError, match="noise of updates needs couplings in blocks, not EdgeCouplings"):
        tg.train(KEY, computer, fields, SCHEDULE, tg.Rule(noise=tg.training.TrainingNoise(bits=4)), cycles=1)

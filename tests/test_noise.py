import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from thermogen.langevin import sample_keys, standard_normal
from thermogen.langevin.noise import NOISES, _normal, _words, row_words

KEY = jax.random.key(5)


@jax.jit
def block(samples, steps):
    keys = sample_keys(KEY, samples)
    return jax.vmap(lambda k: standard_normal(keys, k, 1296, jnp.float32))(steps)


@jax.jit
def weak_block(samples, steps):
    keys = sample_keys(KEY, samples)
    return jax.vmap(lambda k: NOISES["three-point"](row_words(keys, k), 1296, jnp.float32))(steps)


def test_noise_depends_on_key_sample_step_and_unit_alone():
    draw = jax.jit(lambda samples, step: standard_normal(sample_keys(KEY, samples), step, 40, jnp.float32))
    whole = np.asarray(draw(jnp.arange(9), 3))
    assert np.array_equal(np.asarray(draw(jnp.array([7, 2]), 3)), whole[[7, 2]])
    fewer = jax.jit(lambda: standard_normal(sample_keys(KEY, jnp.arange(9)), 3, 17, jnp.float32))()
    assert np.array_equal(np.asarray(fewer), whole[:, :17])
    for other in (draw(jnp.arange(9), 4), draw(jnp.arange(9) + 9, 3)):
        assert not np.any(np.asarray(other) == whole)


def test_the_map_from_words_is_the_inverse_normal_distribution():
    """Every 2,048th of the 2^32 words, and all of the outermost ones, in order."""
    for magnitude in (np.arange(0, 2**31, 2**11) + 2**10, np.arange(4096), 2**31 - 1 - np.arange(4096)):
        positive = np.asarray(jax.jit(_normal)(jnp.asarray(magnitude, jnp.uint32)), float)
        negative = np.asarray(jax.jit(_normal)(jnp.asarray(2**32 - 1 - magnitude, jnp.uint32)), float)
        assert np.array_equal(negative, -positive)
        tail = (magnitude + 0.5) / 2**31  # of both sides
        found = 2 * stats.norm.sf(positive)
        assert np.abs(found - tail).max() < 4e-6
        # The formula errs by the same amount everywhere when weighted by the root of the density.
        error = np.abs(positive - stats.norm.isf(tail / 2)) * np.exp(-(positive**2) / 4)
        assert error.max() < 8e-6
    assert 6.1 < float(_normal(jnp.zeros(1, jnp.uint32))[0]) < 6.3


def test_moments_and_distribution_of_many_numbers():
    x = np.asarray(block(jnp.arange(200), jnp.arange(40)), float).ravel()
    n = len(x)
    for order, variance in ((1, 1), (2, 2), (3, 15), (4, 96), (6, 10170)):
        exact = 0 if order % 2 else np.prod(np.arange(1, order, 2))
        assert abs((x**order).mean() - exact) < 4 * np.sqrt(variance / n)
    assert stats.kstest(x, "norm").pvalue > 1e-4


def test_weak_noise_has_three_values_in_the_right_shares_and_the_moments_of_a_gaussian_to_the_fifth():
    x = np.asarray(weak_block(jnp.arange(200), jnp.arange(40)), float).ravel()
    values, counts = np.unique(x, return_counts=True)
    assert np.allclose(values, [-np.sqrt(3), 0, np.sqrt(3)], atol=1e-6)
    assert stats.chisquare(counts, len(x) * np.array([1, 4, 1]) / 6).pvalue > 1e-4
    for order, exact, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 9), (4, 3, 18), (5, 0, 81)):
        assert abs((x**order).mean() - exact) < 4 * np.sqrt(variance / len(x))


def test_weak_noise_is_the_gaussian_noise_rounded_to_three_values():
    """Both are made of the same words: a kick of either kind goes the same way."""
    samples, steps = jnp.arange(9), jnp.arange(3)
    gaussian, weak = np.asarray(block(samples, steps)), np.asarray(weak_block(samples, steps))
    assert np.all((weak == 0) | (np.sign(weak) == np.sign(gaussian)))
    fewer = NOISES["three-point"](row_words(sample_keys(KEY, samples), 2), 30, jnp.float32, 17)
    assert np.array_equal(np.asarray(fewer), weak[2, :, 17:47])


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("kind", [block, weak_block])
def test_neighbouring_steps_samples_and_units_are_uncorrelated(kind, axis):
    x = np.asarray(kind(jnp.arange(100), jnp.arange(60)), float)
    for values in (x, x * x - 1, x**3 - 3 * x) if kind is block else (x, x * x - 1):
        values = values / values.std()
        for lag in (1, 2, 8):
            first = values.take(range(values.shape[axis] - lag), axis)
            second = values.take(range(lag, values.shape[axis]), axis)
            assert abs((first * second).mean()) < 4.5 / np.sqrt(first.size)


def test_words_use_all_bits():
    offset, stride = jnp.asarray([[7]], jnp.uint32), jnp.asarray([[2**31 + 9]], jnp.uint32)
    words = np.asarray(_words(offset, stride, 1 << 16))[0]
    assert len(np.unique(words)) == len(words)
    bits = (words[:, None] >> np.arange(32)) & 1
    assert np.abs(bits.mean(0) - 0.5).max() < 4.5 * 0.5 / np.sqrt(len(words))
    assert np.abs(np.corrcoef(bits.T) - np.eye(32)).max() < 4.5 / np.sqrt(len(words))


def test_float64_noise_continues_the_float32_noise():
    with jax.enable_x64(True):
        keys = sample_keys(KEY, jnp.arange(50))
        fine = np.asarray(standard_normal(keys, 2, 1296, jnp.float64))
    keys = sample_keys(KEY, jnp.arange(50))
    coarse = np.asarray(standard_normal(keys, 2, 1296, jnp.float32), float)
    assert fine.dtype == np.float64
    assert np.abs(fine - coarse)[np.abs(fine) < 3].max() < 5e-5
    assert stats.kstest(fine.ravel(), "norm").pvalue > 1e-4

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import thermogen as tg
from thermogen.storage.run_folder import compile_seconds

SCHEDULE = tg.Schedule(t_f=0.5, dt=0.01)


@pytest.fixture(scope="module")
def computer():
    units = tg.Units(visible=6, hidden=5)
    matrix = np.random.default_rng(3).normal(size=(11, 11)) * 0.5
    couplings = tg.published_couplings(units).with_matrix(jnp.asarray(matrix + matrix.T, jnp.float32))
    return tg.make_computer(couplings, bias=np.linspace(-0.5, 0.5, 11))


def test_first_law_and_definitions_of_heat_and_work(computer):
    samples = tg.generate(jax.random.key(0), computer, 40, SCHEDULE)
    end = np.asarray(computer.energy(jnp.asarray(samples.x)))
    assert np.allclose(samples.heat, samples.start.total - end, atol=1e-4)
    # Switching on adds everything but the on-site energy.
    assert np.allclose(samples.work, samples.start.bias + samples.start.coupling, atol=1e-4)
    assert np.allclose(samples.heat_kT, samples.heat / 0.1)


def test_samples_do_not_depend_on_count_or_batch(computer):
    key = jax.random.key(1)
    few = tg.generate(key, computer, 7, SCHEDULE, batch=7)
    many = tg.generate(key, computer, 20, SCHEDULE, batch=3)
    # The noise is the same to the bit; products of another batch shape round differently.
    assert np.allclose(few.x, many.x[:7], atol=1e-4)
    assert len(many) == 20
    assert not np.allclose(many.x[0], many.x[1], atol=0.1)


def test_a_second_batch_compiles_nothing(computer):
    key = jax.random.key(2)
    tg.generate(key, computer, 8, SCHEDULE, batch=4)
    before = compile_seconds()
    tg.generate(key, computer, 12, SCHEDULE, batch=4)
    assert compile_seconds() == before


def test_film_starts_at_noise_and_ends_at_the_samples(computer):
    samples = tg.generate(jax.random.key(3), computer, 12, SCHEDULE, film_frames=5, film_samples=4)
    assert samples.film.shape == (6, 4, 6)
    assert np.allclose(samples.film_times, np.linspace(0, 0.5, 6))
    assert np.array_equal(samples.film[-1], samples.visible[:4])
    assert samples.hidden.shape == (12, 5)


def test_stored_batches_are_not_repeated_and_change_nothing(computer, tmp_path):
    key = jax.random.key(4)
    whole = tg.generate(key, computer, 10, SCHEDULE, batch=4)

    def stop_in_second_batch(done, total):
        if done > 4 * SCHEDULE.steps:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tg.generate(key, computer, 10, SCHEDULE, batch=4, checkpoint=tmp_path, progress=stop_in_second_batch)
    assert [p.name for p in tmp_path.iterdir()] == ["samples-0000000.safetensors"]
    resumed = tg.generate(key, computer, 10, SCHEDULE, batch=4, checkpoint=tmp_path)
    assert np.array_equal(resumed.x, whole.x)
    assert np.array_equal(resumed.heat, whole.heat)
    assert np.array_equal(resumed.film, whole.film)


def test_untrained_computer_releases_no_heat_on_average():
    computer = tg.make_computer(tg.published_couplings(tg.Units(visible=20, hidden=10)))
    heat = tg.generate(jax.random.key(5), computer, 400, SCHEDULE).heat_kT
    assert abs(heat.mean()) < 4 * heat.std() / np.sqrt(len(heat))


def test_a_diverging_step_is_explained(computer):
    with pytest.raises(tg.DivergenceError, match=r"diverged at step \d+ .*unit \d+.*a stable step is dt = "):
        tg.generate(jax.random.key(6), computer, 5, tg.Schedule(t_f=10.0, dt=1.0))


@pytest.mark.parametrize("arguments", [{"count": 0}, {"count": 3, "batch": 0}])
def test_nothing_asked_for_is_refused(computer, arguments):
    with pytest.raises(tg.InputError, match="= 0"):
        tg.generate(jax.random.key(0), computer, schedule=SCHEDULE, **arguments)

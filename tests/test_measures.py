import jax
import numpy as np
import pytest

import thermogen as tg
from thermogen.studies.measures import distribution, interval, sample_measures, summary


def test_summary_states_mean_error_and_n():
    figure = summary(np.array([1.0, 2.0, 3.0, 4.0]))
    assert figure["mean"] == 2.5
    assert figure["sem"] == pytest.approx(np.std([1, 2, 3, 4], ddof=1) / 2)
    assert summary(np.array([7.0])) == {"mean": 7.0, "std": None, "sem": None, "n": 1}


def test_a_distribution_has_quantiles_and_the_skewness_of_its_law():
    values = np.random.default_rng(0).exponential(size=40_000)
    found = distribution(values)
    assert found["quantiles"]["0.5"] == pytest.approx(np.log(2), abs=4 * 0.5 / 200 / 0.5)
    assert found["skewness"] == pytest.approx(2, abs=0.3)  # standard error about 0.07
    assert distribution([3.0, 3.0, 3.0])["skewness"] is None


def test_an_interval_is_students_over_independent_runs():
    found = interval([1.0, 2.0, 4.0])
    half = 4.302652729911275 * np.std([1, 2, 4], ddof=1) / np.sqrt(3)
    assert found["high"] - found["mean"] == pytest.approx(half)
    assert found["mean"] - found["low"] == pytest.approx(half)
    with pytest.raises(tg.InputError, match="1 run: an interval needs 2"):
        interval([1.0])


def test_prototype_scores_find_the_prototype_and_its_inverse():
    rng = np.random.default_rng(0)
    prototypes = rng.normal(size=(3, 50))
    samples = np.stack([prototypes[2] * 3 + 1, -prototypes[0], rng.normal(size=50)])
    scores = tg.quality.prototype_scores(samples, prototypes)
    assert scores.correlation[0, 2] == pytest.approx(1)
    assert scores.correlation[1, 0] == pytest.approx(-1)
    assert np.allclose(scores.correlation, np.corrcoef(samples, prototypes)[:3, 3:])
    assert scores.nearest[0] == 2
    assert scores.counts.sum() == 3


def test_sample_measures_agree_with_the_samples():
    computer = tg.make_computer(tg.published_couplings(tg.Units(visible=9, hidden=3)))
    schedule = tg.Schedule(t_f=0.2, dt=0.01)
    samples = tg.generate(jax.random.key(0), computer, 30, schedule)
    prototypes = np.random.default_rng(0).normal(size=(2, 9))
    results = sample_measures(samples, prototypes, [4, 7], computer, schedule)
    assert results["heat_kT"]["mean"] == pytest.approx(samples.heat_kT.mean())
    assert results["heat_kT"]["n"] == 30
    assert sum(results["prototype_counts"].values()) == 30
    assert set(results["prototype_counts"]) == {"4", "7"}
    assert results["entropy"]["heat"] == pytest.approx(samples.heat_kT.mean())
    few = tg.generate(jax.random.key(0), computer, 5, schedule)
    assert "entropy" not in sample_measures(few, prototypes, [4, 7], computer, schedule)


def test_noising_path_ratio_closes_in_float64():
    units = tg.Units(visible=6, hidden=4)
    matrix = np.random.default_rng(1).normal(size=(10, 10)).astype(np.float32)
    couplings = tg.published_couplings(units).with_matrix(jax.numpy.asarray(matrix + matrix.T))
    computer = tg.make_computer(couplings)
    images = np.random.default_rng(2).normal(size=(2, 6))
    fields = tg.imprint_fields(images, [0, 1], hidden=4)
    ratio = tg.noising_path_ratio(jax.random.key(0), computer, fields, 5, tg.Schedule(t_f=1.0, dt=0.01))
    assert ratio.total.shape == (5,)
    assert ratio.total.dtype == np.float64
    assert np.abs(ratio.identity_residual).max() < 1e-10
    # Both parts matter: the ratio is not the heat part alone.
    assert np.abs(ratio.force_part).mean() > 0.1 * np.abs(ratio.total).mean()

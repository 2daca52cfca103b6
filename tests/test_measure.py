import jax
import numpy as np
import pytest

import thermogen as tg
from thermogen.ledger import BOLTZMANN, Device
from thermogen.measure import sample_measures, summary


def test_summary_states_mean_error_and_n():
    figure = summary(np.array([1.0, 2.0, 3.0, 4.0]))
    assert figure["mean"] == 2.5
    assert figure["sem"] == pytest.approx(np.std([1, 2, 3, 4], ddof=1) / 2)
    assert summary(np.array([7.0])) == {"mean": 7.0, "std": None, "sem": None, "n": 1}


def test_prototype_scores_find_the_prototype_and_its_inverse():
    rng = np.random.default_rng(0)
    prototypes = rng.normal(size=(3, 50))
    samples = np.stack([prototypes[2] * 3 + 1, -prototypes[0], rng.normal(size=50)])
    scores = tg.prototype_scores(samples, prototypes)
    assert scores.correlation[0, 2] == pytest.approx(1)
    assert scores.correlation[1, 0] == pytest.approx(-1)
    assert np.allclose(scores.correlation, np.corrcoef(samples, prototypes)[:3, 3:])
    assert scores.nearest[0] == 2
    assert scores.counts.sum() == 3


def test_the_papers_comparison_from_its_own_numbers():
    comparison = tg.compare(2.9e3, couplings=532_224, visible=784)
    heat, readout, writing, digital = comparison.lines
    # 784*128 + 128*128 + 128*784 multiply-accumulates, ten steps, 1 pJ each, at 300 K.
    assert digital.joules == pytest.approx(217_088 * 10 * 1e-12)
    assert digital.kT == pytest.approx(217_088e-11 / (BOLTZMANN * 300))
    assert 5.0e14 < digital.kT < 5.5e14
    assert comparison.ratios["heat alone"] == pytest.approx(digital.kT / 2.9e3)
    assert comparison.ratios["heat alone"] > 1e11
    total = heat.joules + readout.joules + writing.joules
    assert comparison.ratios["and rewriting every coupling"] == pytest.approx(digital.joules / total)


def test_a_temperature_of_zero_is_refused():
    with pytest.raises(tg.InputError, match="temperature = 0"):
        Device(temperature=0)


def test_sample_measures_agree_with_the_samples():
    computer = tg.make_computer(tg.published(tg.Units(visible=9, hidden=3)))
    samples = tg.generate(jax.random.key(0), computer, 30, tg.Schedule(t_f=0.2, dt=0.01))
    prototypes = np.random.default_rng(0).normal(size=(2, 9))
    results = sample_measures(samples, prototypes, [4, 7], 30)
    assert results["heat_kT"]["mean"] == pytest.approx(samples.heat_kT.mean())
    assert results["heat_kT"]["n"] == 30
    assert sum(results["prototype_counts"].values()) == 30
    assert set(results["prototype_counts"]) == {"4", "7"}


def test_noising_path_ratio_closes_in_float64():
    units = tg.Units(visible=6, hidden=4)
    matrix = np.random.default_rng(1).normal(size=(10, 10)).astype(np.float32)
    couplings = tg.published(units).with_matrix(jax.numpy.asarray(matrix + matrix.T))
    computer = tg.make_computer(couplings)
    images = np.random.default_rng(2).normal(size=(2, 6))
    fields = tg.fields(images, [0, 1], hidden=4)
    ratio = tg.noising_path_ratio(jax.random.key(0), computer, fields, 5, tg.Schedule(t_f=1.0, dt=0.01))
    assert ratio.total.shape == (5,)
    assert ratio.total.dtype == np.float64
    assert np.abs(ratio.identity_residual).max() < 1e-10
    # Both parts matter: the ratio is not the heat part alone.
    assert np.abs(ratio.force_part).mean() > 0.1 * np.abs(ratio.total).mean()

import sys
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import thermogen as tg
from thermogen.baselines import fit_bernoulli, fit_boltzmann, fit_denoiser, fit_mixture
from thermogen.baselines.denoiser import _abar, _clock

KEY = jax.random.key(0)
CLASSES = (3, 7)
BOLTZMANN = {"scale": 0.02, "kT": 2e-5, "modes": 12, "conditions": 1, "dt": 0.2, "steps": 25, "rate": 0.1}


@pytest.fixture(scope="module")
def digits():
    """Threes and sevens of the package at 7 x 7 pixels, ink 0 to 1, and their labels."""
    shipped = tg.load_digits(CLASSES, each=100)
    images = shipped.images.reshape(-1, 7, 4, 7, 4).mean((2, 4)).reshape(-1, 49) / 255
    return images.astype(np.float32), shipped.labels


@pytest.fixture(scope="module")
def rivals(digits):
    """One of each kind, by name."""
    pytest.importorskip("sklearn")
    return {
        "mixture": fit_mixture(*digits, components=4),
        "denoiser": fit_denoiser(KEY, *digits, steps=8, updates=500, width=32),
        "boltzmann": fit_boltzmann(KEY, *digits, rounds=20, chains=50, wait=300.0, **BOLTZMANN),
        "rbm": fit_bernoulli(KEY, *digits, hidden=32, updates=150, batch=20, sweeps=30),
    }


def nearest_class(images, digits):
    """The class whose mean image is nearest."""
    known, labels = digits
    means = np.stack([known[labels == label].mean(0) for label in CLASSES])
    return np.asarray(CLASSES)[((images[:, None] - means) ** 2).sum(-1).argmin(1)]


@pytest.mark.parametrize("name", ["mixture", "denoiser", "boltzmann", "rbm"])
def test_every_rival_keeps_the_contract(rivals, digits, name):
    """Shapes, one noise per (key, sample), the class that was asked for, one line for an unknown one."""
    rival, labels = rivals[name], np.resize(CLASSES, 60)
    images = rival.draw(KEY, labels)
    assert images.shape == (60, 49)
    assert images.dtype == np.float32
    assert np.isfinite(images).all()
    np.testing.assert_array_equal(images, rival.draw(KEY, labels))
    # A product of another batch size may be summed in another order.
    np.testing.assert_allclose(images[:5], rival.draw(KEY, labels[:5]), atol=2e-4 * np.ptp(images))
    assert (images != rival.draw(jax.random.key(1), labels)).any(1).all()
    grey = images
    if name == "boltzmann":  # its states are standardised images times the scale
        grey = images / BOLTZMANN["scale"] * digits[0].std(1).mean() + digits[0].mean()
    assert (nearest_class(grey, digits) == labels).mean() > 0.8
    assert rival.classes == CLASSES
    assert rival.name
    assert rival.training_seconds > 0
    assert rival.operations > 0
    assert rival.parameters > 0
    with pytest.raises(tg.InputError, match="label 5 was not trained: choose among 3, 7") as caught:
        rival.draw(KEY, np.array([3, 5]))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("members", [30, 100])
def test_one_component_has_the_moments_of_its_class(digits, members):
    """Covariance to rounding from either Gram matrix; moments of draws within 5 standard errors."""
    chosen = np.concatenate([np.flatnonzero(digits[1] == label)[:members] for label in CLASSES])
    images, labels = digits[0][chosen], digits[1][chosen]
    mixture = fit_mixture(images, labels, components=1)
    count = 4000
    for label, own in zip(CLASSES, mixture.components, strict=True):
        mine = images[labels == label].astype(float)
        exact = np.cov(mine, rowvar=False)
        assert len(own) == 1
        assert own[0].factor.shape[0] <= members - 1
        np.testing.assert_allclose(own[0].factor.T @ own[0].factor, exact, atol=1e-6)
        drawn = mixture.draw(KEY, np.full(count, label)).astype(float)
        spread = np.diag(exact)
        shift = np.abs(drawn.mean(0) - mine.mean(0))
        assert (shift <= 5 * np.sqrt(spread / count) + 1e-6).all()
        error = np.sqrt((np.outer(spread, spread) + exact**2) / count)
        assert (np.abs(np.cov(drawn, rowvar=False) - exact) <= 5 * error + 1e-6).all()


def test_components_are_drawn_by_weight(digits):
    """Means of the components average to that of the class; a class is as likely to hold a component."""
    mixture = fit_mixture(*digits, components=4)
    for label, own in zip(CLASSES, mixture.components, strict=True):
        assert len(own) > 1
        assert sum(one.weight for one in own) == pytest.approx(1)
        mean = sum(one.weight * one.mean for one in own)
        np.testing.assert_allclose(mean, digits[0][digits[1] == label].mean(0), atol=1e-6)


def test_the_denoiser_lowers_its_loss(digits):
    """The mean square error behind half noise falls with every doubling or so of the updates."""
    clean = 2 * digits[0] - 1
    abar = _abar(jnp.asarray(4), 8)
    x = jnp.sqrt(abar) * clean + jnp.sqrt(1 - abar) * jax.random.normal(KEY, clean.shape)
    known = jax.nn.one_hot(np.searchsorted(CLASSES, digits[1]), 2)
    extra = jnp.concatenate([jnp.broadcast_to(_clock(jnp.asarray(4), 8), (len(x), 16)), known], 1)
    losses, told = [], []
    for updates in (1, 60, 600):
        denoiser = fit_denoiser(
            KEY, *digits, steps=8, updates=updates, width=32, progress=lambda *at: told.append(at)
        )
        losses.append(float(jnp.mean((jax.vmap(denoiser.network)(x, extra) - clean) ** 2)))
    assert all(after < 0.8 * before for before, after in pairwise(losses)), losses
    assert told == [(1, 1), (60, 60), (500, 600), (600, 600)]


def test_an_unconditional_denoiser_needs_no_labels(digits):
    """It counts labels and ignores them; without them, conditional training is refused."""
    free = fit_denoiser(KEY, digits[0], None, conditional=False, steps=4, updates=300, width=32)
    np.testing.assert_array_equal(free.draw(KEY, np.full(40, 3)), free.draw(KEY, np.full(40, 9)))
    assert set(nearest_class(free.draw(KEY, np.zeros(40, int)), digits)) == set(CLASSES)
    with pytest.raises(tg.InputError, match="conditional=False"):
        fit_denoiser(KEY, digits[0], None)


def test_samples_of_the_boltzmann_machine_approach_the_moments_of_the_data(digits):
    """Mean and covariance of its class in the leading modes, from noise, and nearer the longer it runs."""
    machine = fit_boltzmann(KEY, *digits, rounds=40, chains=100, wait=1000.0, **BOLTZMANN)
    flat = digits[0].astype(float)
    data = BOLTZMANN["scale"] * (flat - flat.mean(1, keepdims=True)) / flat.std(1, keepdims=True)
    count, basis = 400, np.asarray(machine.table.basis)[:, :5]
    for label in CLASSES:
        mine = data[digits[1] == label] @ basis
        exact = np.cov(mine, rowvar=False)
        size, vectors = np.linalg.eigh(exact)
        white = vectors / np.sqrt(size)
        states = machine.draw_at(KEY, np.full(count, label), [2.0, 20.0, 1000.0])
        gaps = [np.linalg.norm(white.T @ np.cov(x @ basis, rowvar=False) @ white - np.eye(5)) for x in states]
        assert gaps[0] > gaps[1] > gaps[2], gaps
        # Of each entry of a covariance the standard error is sqrt((1 + delta) / n): the norm's, sqrt(30 / n).
        assert gaps[2] < 3 * np.sqrt(30 / count), gaps
        shift = (states[2] @ basis).mean(0) - mine.mean(0)
        assert np.linalg.norm(shift @ white) < 0.4


def test_bad_training_sets_are_refused_in_one_line(digits, monkeypatch):
    images, labels = digits
    for fit in (fit_mixture, lambda *data: fit_denoiser(KEY, *data), lambda *data: fit_bernoulli(KEY, *data)):
        with pytest.raises(tg.InputError, match="values from 0 to 255: give grey from 0 to 1"):
            fit(np.round(255 * images / images.max()), labels)
    with pytest.raises(tg.InputError, match="components = 0"):
        fit_mixture(images, labels, components=0)
    with pytest.raises(tg.InputError, match="chains = 0"):
        fit_boltzmann(KEY, images, labels, chains=0)
    with pytest.raises(tg.InputError, match="steps = 0"):
        fit_denoiser(KEY, images, labels, steps=0)
    monkeypatch.setitem(sys.modules, "sklearn.neural_network", None)
    with pytest.raises(tg.InputError, match=r"pip install 'thermogen\[baselines\]'"):
        fit_bernoulli(KEY, images, labels)

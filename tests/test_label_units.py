"""A class held as a field on label units: the couplings behind it, and the class read off again."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import brentq

import thermogen as tg
from thermogen.couplings import NoCouplings
from thermogen.data import load_split
from thermogen.langevin import mean_in_field
from thermogen.storage.model import Model
from thermogen.studies.classification import classify_images, evaluate_classification
from thermogen.studies.conditional_training import ConditionalSettings, conditional_model, train_conditional
from thermogen.training import mode_basis, mode_statistics, solve_label_fields, solve_modes

VISIBLE, KINDS, HELD = 8, 5, 2.0


@pytest.fixture(scope="module")
def problem():
    """Units, statistics, basis, classes and mean states of images of five kinds."""
    rng = np.random.default_rng(0)
    kind = np.repeat(np.arange(KINDS), 12)
    force = (0.3 * rng.normal(size=(KINDS, VISIBLE))[kind] + 0.1 * rng.normal(size=(60, VISIBLE))).astype(
        "f4"
    )
    units = tg.make_computer(NoCouplings(tg.Units(VISIBLE)), kT=5e-4)
    basis = mode_basis(force, 6)
    known = mode_statistics(units, force, kind, tg.Schedule(t_f=1.0, dt=0.02), basis)
    states = mean_in_field(force, 1.0, 1.0, 5e-4)
    shown = np.stack([states[kind == number].mean(0) for number in range(KINDS)])
    return units, known, basis, np.array([7, 7, 3, 3, 3]), shown


@pytest.fixture(scope="module")
def trained():
    """A generator with label units, trained on the shipped digits; and the held-out digits."""
    split = load_split()
    settings = ConditionalSettings(clusters=8, modes=24, dt=0.025, label_units=True)
    return conditional_model(
        split.training, settings, train_conditional(split.training, settings)
    ), split.held_out


def test_units_in_fields_stand_where_quadrature_says():
    force = np.array([[-3.0, 0.0, 0.4]])
    x = np.linspace(-4, 4, 20001)
    for found, h in zip(mean_in_field(force, 1.0, 1.0, 0.1)[0], force[0], strict=True):
        density = np.exp(-(x**2 + x**4 - h * x) / 0.1)
        assert abs(found - np.sum(x * density) / density.sum()) < 1e-4


def test_held_label_units_act_as_the_optimum_of_one_set_of_couplings(problem):
    """Label units where their fields hold them: the visible units feel B M B^T x + b_c to second order."""
    units, known, basis, classes, shown = problem
    control = solve_label_fields(units, known, basis, classes, shown, held_at=HELD)
    # All conditions in one class, fully pooled: `solve_modes` minimises the same loss.
    one = solve_modes(units, known, basis, np.zeros(KINDS, int), pool=1.0)
    coupling = np.asarray(control.reference.couplings.blocks["visible-output"], float)
    for condition in range(KINDS):
        computer = control.select(np.array([condition]))
        bias = np.asarray(computer.bias, float)[0, VISIBLE:]
        for x in (np.zeros(VISIBLE), 0.3 * shown[condition] / np.abs(shown).max()):
            pull = bias + x @ coupling
            label = [brentq(lambda z, h=h: 2 * z + 4 * z**3 + h, -9, 9) for h in pull]
            assert np.array_equal(np.sign(label), 2 * (np.arange(KINDS) == condition) - 1)
            state = jnp.asarray(np.concatenate([x, label])[None], jnp.float32)
            found = np.asarray(computer.gradient(state))[0, :VISIBLE]
            wanted = np.asarray(one.condition(condition, 0).gradient(jnp.asarray(x[None], jnp.float32)))[0]
            # Second order: the cubic term, 12 J4 z (L.x / s)^2 / s per unit, summed over the couplings.
            second = np.abs(coupling) @ ((x @ coupling) ** 2 * 12 * HELD / 50.0**3)
            assert np.all(np.abs(found - wanted) < 2 * second + 2e-5)


def test_the_bias_of_label_units_is_that_of_the_linear_discriminant(problem):
    units, known, basis, classes, shown = problem
    control = solve_label_fields(units, known, basis, classes, shown, held_at=HELD)
    one = solve_modes(units, known, basis, np.zeros(KINDS, int), pool=1.0)
    x = shown[2] + 0.01
    bias = np.asarray(one.bias[:, 0], float)
    score = -bias @ x + (bias * shown).sum(1) / 2 + 5e-4 * np.log(1 / KINDS)
    coupling = np.asarray(control.reference.couplings.blocks["visible-output"], float)
    felt = -(x @ coupling) - np.asarray(control.reference.bias, float)[VISIBLE:]
    assert np.allclose(felt - felt.mean(), (score - score.mean()) / (2 * HELD), atol=1e-4)


def test_label_units_that_cannot_be_are_refused(problem):
    units, known, basis, classes, shown = problem
    with pytest.raises(tg.InputError, match="held_at = 0: give a positive position"):
        solve_label_fields(units, known, basis, classes, shown, held_at=0)
    with pytest.raises(tg.InputError, match="2 segments of time"):
        solve_label_fields(units, [*known, *known], basis, classes, shown)
    with pytest.raises(tg.InputError, match=r"segments = 2 with label units"):
        ConditionalSettings(segments=2, label_units=True)


def test_digits_are_drawn_and_read_by_one_set_of_couplings(trained, tmp_path):
    model, held = trained
    model.save_pretrained(tmp_path / "m")
    again = Model.from_pretrained(tmp_path / "m")
    labels = np.repeat(np.arange(10), 3)
    draws = [
        tg.generate(jax.random.key(0), one.computer, 30, model.schedule, labels=labels, film_frames=1)
        for one in (model, again)
    ]
    assert np.array_equal(draws[0].x, draws[1].x)
    # Asked digits resemble the mean digit of their class more than that of the others.
    means = np.stack([held.standardised()[held.labels == label].mean(0) for label in range(10)])
    like = np.corrcoef(draws[0].visible, means)[:30, 30:]
    assert np.mean(like.argmax(1) == labels) > 0.8
    assert np.allclose(draws[0].switching, 0)
    # 20 held-out digits of every class: far above the 10 % of guessing, with a margin for a toy.
    found = evaluate_classification(classify_images(again, held), held)
    assert found["right"]["low"] > 0.6
    assert np.array_equal(classify_images(again, held.first(5)), classify_images(again, held)[:5])
    with pytest.raises(tg.InputError, match=r"wait = 0\.01: give 0\.1 or more"):
        classify_images(again, held, wait=0.01)

import dataclasses
import io
import zipfile

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from shared_work import SCHEDULE, controls

import thermogen as tg
from thermogen.control import Clamp
from thermogen.errors import DivergenceError, InputError
from thermogen.seeds import stream
from thermogen.studio import downloads, training
from thermogen.studio.grey_levels import GreyLevels
from thermogen.studio.shown_model import FREE, ShownModel
from thermogen.studio.simulation import Simulation

LAW = 2e-5
"""Largest gap of the first law, as a share of the heat: single precision over thousands of steps."""


@pytest.fixture
def small(small_model):
    return Simulation(ShownModel.of("two", tg.Model.from_pretrained(small_model)), None, count=5, seed=3)


def closes(simulation):
    ledger = simulation.ledger()
    return np.abs(ledger.gap).max() <= LAW * max(1.0, np.abs(ledger.heat).max(), np.abs(ledger.work).max())


# --- the simulation ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["three-digits", "ten-digits"])
def test_untouched_it_is_the_run_of_generate(shelf, classifier, name):
    simulation = Simulation(shelf.load(name), classifier, count=6, seed=11)
    for steps in (1, 7, simulation.steps):  # whatever the frames: the last call stops at t_f
        simulation.advance(steps)
    model = shelf.load(name).model
    known = tg.generate(stream(11, "generation"), model.computer, 6, model.schedule)
    ledger = simulation.ledger()
    assert simulation.finished
    np.testing.assert_array_equal(simulation.x, known.x)
    np.testing.assert_array_equal(simulation.readout, known.visible)
    np.testing.assert_allclose(ledger.heat, known.heat_kT, rtol=LAW)
    np.testing.assert_allclose(ledger.work, known.work_kT, rtol=1e-5, atol=1e-3)
    assert closes(simulation)


def test_segments_change_couplings_at_their_time_and_cost_work(two_patterns, tmp_path):
    from thermogen.studies.experiment import prepare

    experiment = prepare(two_patterns(tmp_path, segments=5))
    model = experiment.model(experiment.train())
    simulation = Simulation(ShownModel.of("five", model), None, count=4, seed=2)
    while not simulation.finished:
        simulation.advance(simulation.steps // 16)
    known = tg.generate(stream(2, "generation"), model.computer, 4, model.schedule)
    np.testing.assert_array_equal(simulation.x, known.x)
    np.testing.assert_allclose(simulation.ledger().work, known.work_kT, rtol=1e-4, atol=1e-3)
    assert np.abs(known.switching).max() > 0.01
    assert closes(simulation)


def test_a_set_of_couplings_for_each_class(two_patterns, tmp_path):
    from thermogen.studies.experiment import prepare

    images = np.random.default_rng(1).normal(size=(4, 3, 3)).astype(np.float32)
    np.savez(tmp_path / "four.npz", images=images, labels=np.array([0, 0, 1, 1]))
    chosen = two_patterns(tmp_path, per_class=True)
    experiment = prepare(dataclasses.replace(chosen, images=str(tmp_path / "four.npz")))
    model = experiment.model(experiment.train())
    simulation = Simulation(ShownModel.of("classes", model), None, count=4)
    assert simulation.shown.labels == (0, 1)
    simulation.choose_class(1)
    simulation.advance(simulation.steps)
    known = tg.generate(stream(0, "generation"), model.computer.choose(1), 4, model.schedule)
    np.testing.assert_array_equal(simulation.x, known.x)


@pytest.mark.parametrize("name", ["three-digits", "published", "ten-digits"])
def test_the_asked_digit_is_drawn(shelf, classifier, name):
    simulation = Simulation(shelf.load(name), classifier, count=16, seed=5)
    label = simulation.shown.labels[-1]
    simulation.choose_class(label)
    simulation.advance(simulation.steps)
    assert (simulation.verdict == label).all()
    assert closes(simulation)
    with pytest.raises(InputError, match=f"choose among {simulation.shown.labels[0]}"):
        simulation.choose_class(77)


def test_a_chosen_class_clamps_hidden_units_at_its_picture(shelf, classifier):
    shown = shelf.load("three-digits")
    simulation = Simulation(shown, classifier, count=3, seed=5)
    simulation.choose_class(1)
    simulation.advance(10)
    held = np.zeros(simulation.units.total, bool)
    held[simulation.units.slice("hidden")] = True
    values = np.zeros((3, simulation.units.total), np.float32)
    values[:, held] = shown.grey_levels.hidden[1]
    schedule = shown.model.schedule
    schedule = dataclasses.replace(schedule, t_f=10 * schedule.dt, readout=0.0)
    known = tg.generate(
        stream(5, "generation"), shown.model.computer, 3, schedule, clamp=Clamp(held, values), film_frames=1
    )
    np.testing.assert_array_equal(simulation.x, known.x)


@pytest.mark.parametrize("kind", ["computer", "segments", "labels", "table", "network", "fields"])
def test_every_kind_of_control_runs_as_generate_runs_it(kind):
    control = controls()[kind]
    simulation = Simulation(ShownModel.of(kind, tg.Model(control, SCHEDULE, (2, 3))), None, count=5, seed=9)
    if simulation.shown.labels:
        simulation.choose_class(1)
    simulation.set_temperature(0.1)
    for _ in range(7):
        simulation.advance(3)
    labels = [1] * 5 if simulation.shown.labels else None
    known = tg.generate(stream(9, "generation"), control, 5, SCHEDULE, labels=labels)
    ledger = simulation.ledger()
    np.testing.assert_array_equal(simulation.x, known.x)
    np.testing.assert_allclose(ledger.heat, known.heat_kT, atol=2e-3)
    np.testing.assert_allclose(ledger.work, known.work_kT, atol=2e-3)
    assert np.abs(ledger.gap).max() < 2e-3
    simulation.clamp(np.array([255, 0, *[FREE] * 4]))
    simulation.begin()
    simulation.advance(simulation.steps)
    assert np.ptp(simulation.x[:, :2], 0).max() == 0
    assert np.abs(simulation.ledger().gap).max() < 2e-3


@pytest.mark.parametrize("integrator", ["euler", "heun", "leimkuhler-matthews"])
def test_the_first_law_closes_through_every_change(shelf, classifier, integrator):
    simulation = Simulation(shelf.load("three-digits"), classifier, count=4, seed=1)
    simulation.set_integrator(integrator)
    drawing = np.full(784, FREE)
    drawing[:300] = np.arange(300) % 256
    for change in (
        lambda: simulation.set_temperature(0.3),
        lambda: simulation.set_dt(0.004),
        lambda: simulation.clamp(drawing),
        lambda: simulation.place(drawing[::-1]),
        lambda: simulation.clamp(np.full(784, FREE)),
        lambda: simulation.set_temperature(0.05),
    ):
        before = simulation.ledger().work
        change()
        simulation.advance(25)
        assert closes(simulation)
    assert np.abs(simulation.ledger().work - before).max() == 0  # another bath does no work
    assert simulation.ledger().heat.min() != 0


def test_clamped_units_keep_the_levels_drawn(small):
    drawing = np.array([255, 0, 128, *[FREE] * 6])
    small.clamp(drawing)
    small.advance(20)
    expected = np.tile(small.shown.grey_levels.levels[[255, 0, 128]], (5, 1))
    np.testing.assert_array_equal(small.x[:, :3], expected)
    assert (np.ptp(small.x[:, 3:], 0) > 0).all()
    small.clamp(np.full(9, FREE))
    small.advance(20)
    assert (small.x[:, :3] != expected).all()
    for wrong, words in ((np.zeros(9, int), "every unit is clamped"), (np.zeros(4, int), "give all 9")):
        with pytest.raises(InputError, match=words):
            small.clamp(wrong)


def test_half_a_digit_is_finished_by_a_guess_of_the_condition(shelf, classifier):
    simulation = Simulation(shelf.load("ten-digits"), classifier, count=8, seed=4)
    digits = tg.load_digits([2, 7])
    for picture, label in zip(digits.images.reshape(2, -1), digits.labels, strict=True):
        drawing = np.full(784, FREE)
        drawing[:448] = picture[:448]  # sixteen rows of 28
        simulation.clamp(drawing)
        simulation.begin()
        simulation.advance(simulation.steps)
        assert (simulation.labels == label).all()
        assert (simulation.verdict == label).sum() > 4  # seven halves in eight are finished right


def test_a_new_step_keeps_the_time_and_takes_fresh_noise(small):
    small.advance(40)
    t, x = small.t, small.x
    small.set_dt(0.02)
    assert small.t == pytest.approx(t)
    np.testing.assert_array_equal(small.x, x)
    assert small.steps == round(small.shown.model.schedule.t_f / 0.02)
    small.advance(20)
    first = small.x
    small.begin()
    small.advance(20)
    assert not np.allclose(small.x - x, first - x)
    with pytest.raises(InputError, match="give a step above 0"):
        small.set_dt(float("nan"))


def test_a_hotter_bath_widens_free_units(shelf, classifier):
    shown = shelf.load("three-digits")
    bare = ShownModel.of("bare", tg.Model(shown.model.computer.uncoupled(), shown.model.schedule, (28, 28)))
    simulation = Simulation(bare, None, count=8)
    simulation.set_temperature(0.4)
    simulation.set_dt(0.005)
    simulation.advance(simulation.steps)
    grid = np.linspace(-4, 4, 4001)
    density = np.exp(-(grid**2 + grid**4) / 0.4)
    variance = (grid**2 * density).sum() / density.sum()
    x = simulation.x
    assert (x**2).mean() == pytest.approx(variance, abs=4 * float((x**2).std()) / x.size**0.5)


def test_too_large_a_step_is_told_and_changes_nothing(shelf):
    simulation = Simulation(shelf.load("three-digits"), None, count=2)
    simulation.advance(5)
    x = simulation.x
    simulation.set_dt(0.5)
    with pytest.raises(DivergenceError, match="a stable step is dt"):
        simulation.advance(5)
    np.testing.assert_array_equal(simulation.x, x)
    simulation.set_dt(0.001)
    simulation.advance(5)
    assert np.abs(simulation.x).max() < 2


def test_what_a_unit_feels_is_what_the_computer_says(shelf):
    for name, unit in (("three-digits", 900), ("ten-digits", 300)):
        simulation = Simulation(shelf.load(name), None, count=3)
        simulation.advance(30)
        row, forces = simulation.look(1, unit)
        control = shelf.load(name).model.computer
        if name == "ten-digits":
            control = control.select(simulation._conditions)
            own = shelf.load(name).model.computer.condition(int(simulation._conditions[1]), 0)
            matrix = np.asarray(own.couplings.matrix())
        else:
            matrix = np.asarray(control.couplings.matrix())
        expected = np.array(matrix[unit])
        expected[unit] = 0
        np.testing.assert_allclose(row, expected, atol=1e-5)
        force = np.asarray(control.force(jnp.asarray(simulation.x)))[1, unit]
        assert forces["total"] == pytest.approx(float(force), abs=1e-5)
        assert forces["own"] + forces["bias"] + forces["neighbours"] == pytest.approx(forces["total"])


def test_ink_stands_where_its_field_puts_a_unit(shelf):
    model = shelf.load("three-digits").model
    grey_levels = GreyLevels.of(model)
    force = 2.5 * float(model.prototypes.max())
    x = np.linspace(-4, 4, 8001)
    density = np.exp(-(x**2 + x**4 - force * x) / 0.1)
    assert grey_levels.levels[255] == pytest.approx((x * density).sum() / density.sum(), abs=1e-3)
    assert (np.diff(grey_levels.levels) > 0).all()
    assert GreyLevels.of(dataclasses.replace(model, training={})).hidden is None


# --- training and saving ----------------------------------------------------------------------------------


def strokes():
    """Two drawings: an upright bar and a lying one."""
    drawings = np.full((2, 28, 28), FREE)
    drawings[0, 4:24, 12:16] = 255
    drawings[1, 12:16, 4:24] = 255
    return drawings.reshape(2, -1)


def test_drawings_are_learnt_and_come_out(classifier):
    seen = []
    images = training.drawn_images(strokes(), (28, 28))
    model = training.train(images, lambda percent, note: seen.append(percent), lambda: True)
    assert seen == sorted(seen)
    assert seen[-1] > 50
    simulation = Simulation(ShownModel.of("bars", model), classifier, count=16)
    for label in (0, 1):
        simulation.choose_class(label)
        simulation.advance(simulation.steps)
        scores = tg.quality.prototype_scores(simulation.readout, model.prototypes)
        assert (scores.correlation.argmax(1) == label).all()
        assert scores.best.min() > 0.8


def test_training_stops_when_nobody_waits_for_it():
    calls = []

    def wanted():
        calls.append(1)
        return len(calls) < 2

    with pytest.raises(training.Stopped):
        training.train(training.digit_images((0, 1)), lambda percent, note: None, wanted)
    assert len(calls) == 2


def test_useless_drawings_are_refused():
    same = np.stack([strokes()[0]] * 2)
    with pytest.raises(InputError, match="drawings 0 and 1 are equal"):
        training.drawn_images(same, (28, 28))
    with pytest.raises(InputError, match="drawing 1 is empty"):
        training.drawn_images(np.stack([strokes()[0], np.full(784, FREE)]), (28, 28))


def test_what_is_saved_can_be_read_again(small, tmp_path):
    small.advance(40)
    with np.load(io.BytesIO(downloads.samples(small).content), allow_pickle=False) as arrays:
        np.testing.assert_array_equal(arrays["x"], small.x)
        np.testing.assert_array_equal(arrays["heat_kT"], small.ledger().heat)
        assert arrays["t"] == small.t
    with Image.open(io.BytesIO(downloads.pictures(small).content)) as picture:
        assert picture.format == "PNG"
    with Image.open(io.BytesIO(downloads.film(small).content)) as film:
        assert film.n_frames == len(small.film)
    with zipfile.ZipFile(io.BytesIO(downloads.model(small).content)) as archive:
        archive.extractall(tmp_path)
    again = tg.Model.from_pretrained(tmp_path / "two")
    np.testing.assert_array_equal(again.computer.bias, small.shown.model.computer.bias)


def test_a_long_film_is_thinned_evenly(small):
    small.advance(0)
    for _ in range(500):
        small._keep_frame()
    assert len(small.film) <= 151

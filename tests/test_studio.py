import asyncio
import dataclasses
import gc
import io
import json
import weakref
import zipfile

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from shared_work import SCHEDULE, controls

import thermogen as tg
from thermogen.control import Hold
from thermogen.errors import DivergenceError, InputError
from thermogen.studio import messages, saving, training
from thermogen.studio.loaded import FREE, Loaded
from thermogen.studio.messages import Command, read
from thermogen.studio.session import Session
from thermogen.studio.shelf import Shelf
from thermogen.studio.simulation import Simulation
from thermogen.studio.standing import Standing

LAW = 2e-5
"""Largest gap of the first law, as a share of the heat: single precision over thousands of steps."""


@pytest.fixture(scope="session")
def shelf():
    return Shelf.of()


@pytest.fixture(scope="session")
def classifier(shelf):
    return shelf.classifier


@pytest.fixture
def small(small_model):
    return Simulation(Loaded.of("two", tg.Model.from_pretrained(small_model)), None, count=5, seed=3)


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
    known = tg.generate(jax.random.key(11), model.computer, 6, model.schedule)
    ledger = simulation.ledger()
    assert simulation.finished
    np.testing.assert_array_equal(simulation.x, known.x)
    np.testing.assert_allclose(simulation.readout, known.visible, atol=1e-5)
    np.testing.assert_allclose(ledger.heat, known.heat_kT, rtol=LAW)
    np.testing.assert_allclose(ledger.work, known.work_kT, rtol=1e-5, atol=1e-3)
    assert closes(simulation)


def test_segments_change_couplings_at_their_time_and_cost_work(two_patterns, tmp_path):
    from thermogen.experiment import prepare

    experiment = prepare(two_patterns(tmp_path, segments=5))
    model = experiment.model(experiment.train())
    simulation = Simulation(Loaded.of("five", model), None, count=4, seed=2)
    while not simulation.finished:
        simulation.advance(simulation.steps // 16)
    known = tg.generate(jax.random.key(2), model.computer, 4, model.schedule)
    np.testing.assert_array_equal(simulation.x, known.x)
    np.testing.assert_allclose(simulation.ledger().work, known.work_kT, rtol=1e-4, atol=1e-3)
    assert np.abs(known.switching).max() > 0.01
    assert closes(simulation)


def test_a_set_of_couplings_for_each_class(two_patterns, tmp_path):
    from thermogen.experiment import prepare

    images = np.random.default_rng(1).normal(size=(4, 3, 3)).astype(np.float32)
    np.savez(tmp_path / "four.npz", images=images, labels=np.array([0, 0, 1, 1]))
    chosen = two_patterns(tmp_path, per_class=True)
    experiment = prepare(dataclasses.replace(chosen, images=str(tmp_path / "four.npz")))
    model = experiment.model(experiment.train())
    simulation = Simulation(Loaded.of("classes", model), None, count=4)
    assert simulation.loaded.labels == (0, 1)
    simulation.ask(1)
    simulation.advance(simulation.steps)
    known = tg.generate(jax.random.key(0), model.computer.choose(1), 4, model.schedule)
    np.testing.assert_array_equal(simulation.x, known.x)


@pytest.mark.parametrize("name", ["three-digits", "published", "ten-digits"])
def test_the_asked_digit_is_drawn(shelf, classifier, name):
    simulation = Simulation(shelf.load(name), classifier, count=16, seed=5)
    label = simulation.loaded.labels[-1]
    simulation.ask(label)
    simulation.advance(simulation.steps)
    assert (simulation.verdict == label).all()
    assert closes(simulation)
    with pytest.raises(InputError, match=f"choose among {simulation.loaded.labels[0]}"):
        simulation.ask(77)


def test_asking_holds_hidden_units_where_the_picture_put_them(shelf, classifier):
    loaded = shelf.load("three-digits")
    simulation = Simulation(loaded, classifier, count=3, seed=5)
    simulation.ask(1)
    simulation.advance(10)
    held = np.zeros(simulation.units.total, bool)
    held[simulation.units.part("hidden")] = True
    values = np.zeros((3, simulation.units.total), np.float32)
    values[:, held] = loaded.standing.hidden[1]
    schedule = dataclasses.replace(loaded.model.schedule, t_f=0.01, readout=0.0)
    known = tg.generate(
        jax.random.key(5), loaded.model.computer, 3, schedule, hold=Hold(held, values), film_frames=1
    )
    np.testing.assert_array_equal(simulation.x, known.x)


@pytest.mark.parametrize("kind", ["computer", "segments", "labels", "table", "network", "fields"])
def test_every_kind_of_control_runs_as_generate_runs_it(kind):
    control = controls()[kind]
    simulation = Simulation(Loaded.of(kind, tg.Model(control, SCHEDULE, (2, 3))), None, count=5, seed=9)
    if simulation.loaded.labels:
        simulation.ask(1)
    simulation.set_temperature(0.1)
    for _ in range(7):
        simulation.advance(3)
    labels = [1] * 5 if simulation.loaded.labels else None
    known = tg.generate(jax.random.key(9), control, 5, SCHEDULE, labels=labels)
    ledger = simulation.ledger()
    np.testing.assert_allclose(simulation.x, known.x, atol=1e-5)
    np.testing.assert_allclose(ledger.heat, known.heat_kT, atol=2e-3)
    np.testing.assert_allclose(ledger.work, known.work_kT, atol=2e-3)
    assert np.abs(ledger.gap).max() < 2e-3
    simulation.hold(np.array([255, 0, *[FREE] * 4]))
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
        lambda: simulation.hold(drawing),
        lambda: simulation.place(drawing[::-1]),
        lambda: simulation.hold(np.full(784, FREE)),
        lambda: simulation.set_temperature(0.05),
    ):
        before = simulation.ledger().work
        change()
        simulation.advance(25)
        assert closes(simulation)
    assert np.abs(simulation.ledger().work - before).max() == 0  # another bath does no work
    assert simulation.ledger().heat.min() != 0


def test_held_units_stand_still_at_the_levels_drawn(small):
    drawing = np.array([255, 0, 128, *[FREE] * 6])
    small.hold(drawing)
    small.advance(20)
    expected = np.tile(small.loaded.standing.levels[[255, 0, 128]], (5, 1))
    np.testing.assert_array_equal(small.x[:, :3], expected)
    assert (np.ptp(small.x[:, 3:], 0) > 0).all()
    small.hold(np.full(9, FREE))
    small.advance(20)
    assert (small.x[:, :3] != expected).all()
    for wrong, words in ((np.zeros(9, int), "every unit is held"), (np.zeros(4, int), "give all 9")):
        with pytest.raises(InputError, match=words):
            small.hold(wrong)


def test_half_a_digit_is_finished_by_a_guess_of_the_condition(shelf, classifier):
    simulation = Simulation(shelf.load("ten-digits"), classifier, count=8, seed=4)
    digits = tg.load_digits([2, 7])
    for picture, label in zip(digits.images.reshape(2, -1), digits.labels, strict=True):
        drawing = np.full(784, FREE)
        drawing[:448] = picture[:448]  # sixteen rows of 28
        simulation.hold(drawing)
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
    assert small.steps == round(small.loaded.model.schedule.t_f / 0.02)
    small.advance(20)
    first = small.x
    small.begin()
    small.advance(20)
    assert not np.allclose(small.x - x, first - x)
    with pytest.raises(InputError, match="give a step above 0"):
        small.set_dt(float("nan"))


def test_a_hotter_bath_widens_free_units(shelf, classifier):
    loaded = shelf.load("three-digits")
    bare = Loaded.of("bare", tg.Model(loaded.model.computer.uncoupled(), loaded.model.schedule, (28, 28)))
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
            own = shelf.load(name).model.computer.part(int(simulation._conditions[1]), 0)
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
    standing = Standing.of(model)
    force = 2.5 * float(model.prototypes.max())
    x = np.linspace(-4, 4, 8001)
    density = np.exp(-(x**2 + x**4 - force * x) / 0.1)
    assert standing.levels[255] == pytest.approx((x * density).sum() / density.sum(), abs=1e-3)
    assert (np.diff(standing.levels) > 0).all()
    assert Standing.of(dataclasses.replace(model, training={})).hidden is None


# --- messages ---------------------------------------------------------------------------------------------

GOOD = (
    {"do": "run"},
    {"do": "restart"},
    {"do": "restart", "seed": 3},
    {"do": "ask", "label": None},
    {"do": "hold", "drawing": [-1, 0, 255]},
    {"do": "train_digits", "digits": [3, 5, 8]},
)
BAD = (
    ("", "is no JSON"),
    ("{", "is no JSON"),
    ("[" * 10_000, "is no JSON"),
    ("[]", "is no object"),
    ('{"do": "fly"}', "unknown command 'fly'"),
    ('{"do": ["run"]}', "unknown command"),
    ('{"do": "run", "now": 1}', "unknown part 'now'"),
    ('{"do": "choose"}', "lacks model"),
    ('{"do": "choose", "model": 4}', "give a name"),
    ('{"do": "temperature", "value": NaN}', "is no JSON"),
    ('{"do": "temperature", "value": -1}', "give a number"),
    ('{"do": "temperature", "value": true}', "give a number"),
    ('{"do": "temperature", "value": 1e999}', "give a number"),
    ('{"do": "samples", "value": 1000000}', "from 1 to 64"),
    ('{"do": "samples", "value": 2.5}', "whole number"),
    ('{"do": "ask", "label": "seven"}', "whole number"),
    ('{"do": "hold", "drawing": [300]}', "from -1 to 255"),
    ('{"do": "hold", "drawing": "ink"}', "list of levels"),
    ('{"do": "train_drawings", "drawings": [[1]]}', "2 to 12 drawings"),
    ('{"do": "train_drawings", "drawings": [[1], [1, 2]]}', "one size"),
    ('{"do": "train_digits", "digits": [1, 1]}', "different digits"),
    ('{"do": "at_end", "value": "burn"}', "choose one of again"),
    ('{"do": "run", "x": "' + "y" * messages.LONGEST + '"}', "characters"),
)


@pytest.mark.parametrize("message", GOOD)
def test_a_good_message_is_a_command(message):
    command = read(json.dumps(message))
    assert command.do == message["do"]
    assert {name: np.asarray(value).tolist() for name, value in command.given.items()} == {
        name: list(value) if isinstance(value, list) else value
        for name, value in message.items()
        if name != "do"
    }


@pytest.mark.parametrize(("message", "words"), BAD)
def test_a_bad_message_is_refused_in_one_line(message, words):
    with pytest.raises(InputError, match=words) as caught:
        read(message)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_bytes_are_no_message():
    with pytest.raises(InputError, match="send JSON text"):
        read(b"{}")


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(messages._COMMANDS)), st.dictionaries(st.text(max_size=6), anything), anything)
def test_whatever_is_said_is_a_command_or_one_error(do, others, value):
    checks = messages._COMMANDS[do]
    text = json.dumps({**others, **dict.fromkeys(checks, value), "do": do})
    try:
        found = read(text)
    except InputError:
        return
    assert set(found.given) <= set(checks)


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
    simulation = Simulation(Loaded.of("bars", model), classifier, count=16)
    for label in (0, 1):
        simulation.ask(label)
        simulation.advance(simulation.steps)
        scores = tg.prototype_scores(simulation.readout, model.prototypes)
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
    with np.load(io.BytesIO(saving.samples(small).content), allow_pickle=False) as arrays:
        np.testing.assert_array_equal(arrays["x"], small.x)
        np.testing.assert_array_equal(arrays["heat_kT"], small.ledger().heat)
        assert arrays["t"] == small.t
    with Image.open(io.BytesIO(saving.pictures(small).content)) as picture:
        assert picture.format == "PNG"
    with Image.open(io.BytesIO(saving.film(small).content)) as film:
        assert film.n_frames == len(small.film)
    with zipfile.ZipFile(io.BytesIO(saving.model(small).content)) as archive:
        archive.extractall(tmp_path)
    again = tg.Model.from_pretrained(tmp_path / "two")
    np.testing.assert_array_equal(again.computer.bias, small.loaded.model.computer.bias)


def test_a_long_film_is_thinned_evenly(small):
    small.advance(0)
    for _ in range(500):
        small._keep_frame()
    assert len(small.film) <= 151


# --- sessions ---------------------------------------------------------------------------------------------


class Page:
    """A page that only listens: frames are acknowledged as a browser does."""

    def __init__(self, shelf):
        self.told, self.frames = [], 0
        self.session = Session(shelf, self.hear)

    async def hear(self, message):
        if isinstance(message, bytes):
            self.frames += 1
            await self.session.commands.put(Command("seen", {"frame": self.frames}))
        else:
            self.told.append(json.loads(message))

    def last(self, kind):
        return next((one for one in reversed(self.told) if one["kind"] == kind), None)

    async def until(self, ready):
        async with asyncio.timeout(120):
            while not ready():
                await asyncio.sleep(0)


def lived(shelf, first, *steps):
    """A visit: open the page, then do each step; what was told. A step is a command, or a condition."""

    async def visit():
        page = Page(shelf)
        running = asyncio.create_task(page.session.run(first))
        await page.until(lambda: page.frames > 0)
        for one in steps:
            if isinstance(one, Command):
                await page.session.commands.put(one)
            else:
                await page.until(lambda one=one: one(page))
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        return page

    return asyncio.run(visit())


@pytest.fixture(scope="session")
def small_shelf(small_model, classifier):
    return Shelf({"two": tg.Model.from_pretrained(small_model)}, classifier)


def test_a_session_runs_to_the_end_and_draws_noise_again(small_shelf):
    page = lived(
        small_shelf, "two", Command("pace", {"value": 50.0}), lambda page: page.last("begun")["run"] == 2
    )
    assert page.last("verdict")["right"] is None  # a classifier of digits says nothing of 3 x 3 pixels
    assert page.last("begun")["seed"] == 1


def test_what_cannot_be_done_is_told_and_changes_nothing(small_shelf):
    before = []
    wrong = [
        Command("choose", {"model": "nowhere"}),
        Command("ask", {"label": 9}),
        Command("hold", {"drawing": np.zeros(4, int)}),
        Command("integrator", {"value": "magic"}),
        Command("dt", {"value": 1e6}),
        Command("select", {"sample": 40, "unit": None}),
        Command("select", {"sample": 0, "unit": 99}),
        Command("example", {"label": 3, "number": 0}),
        Command("train_drawings", {"drawings": np.zeros((2, 5), int)}),
    ]

    def quiet(page):
        found = page.last("settings")
        return found is not None and not found["running"]

    def all_told(page):
        before.append(page)
        return sum(one["kind"] == "error" for one in page.told) == len(wrong)

    page = lived(small_shelf, "two", Command("pause", {}), quiet, *wrong, all_told, lambda page: True)
    known = [one for one in page.told if one["kind"] == "settings" and not one["running"]]
    assert all(one == known[0] for one in known)
    errors = [one["text"] for one in page.told if one["kind"] == "error"]
    assert all("\n" not in text for text in errors)
    assert errors[0] == "unknown model 'nowhere': choose one of two"


def test_every_command_has_its_deed():
    missing = [do for do in messages._COMMANDS if do != "seen" and not hasattr(Session, f"_do_{do}")]
    assert missing == []


def test_nothing_of_a_closed_session_remains(small_shelf):
    page = lived(small_shelf, "two", lambda page: page.frames > 3)
    gone = weakref.ref(page.session._simulation), weakref.ref(page.session)
    del page
    gc.collect()
    assert [one() for one in gone] == [None, None]


def test_a_file_asked_of_a_page_that_closes_is_given_up(small_shelf):
    async def visit():
        page = Page(small_shelf)
        running = asyncio.create_task(page.session.run("two"))
        await page.until(lambda: page.frames > 0)
        found = await page.session.file("samples.npz")
        running.cancel()
        waiting = asyncio.create_task(page.session.file("film.gif"))
        await asyncio.gather(running, return_exceptions=True)
        return found, await waiting, await page.session.file("film.gif")

    found, given_up, late = asyncio.run(visit())
    assert found.name == "samples.npz"
    assert given_up is None
    assert late is None


def test_a_training_of_a_closed_session_ends(shelf):
    def going(page):
        return page.last("training") is not None

    page = lived(shelf, "three-digits", Command("train_digits", {"digits": (4, 6)}), going)
    assert not page.session._wanted
    with shelf.training:  # free again
        assert page.session._trained == {}

import ast
from itertools import combinations
from pathlib import Path

import jax
import numpy as np
import pytest
from shared_work import SCHEDULE, controls

import thermogen as tg
from thermogen.cli.samples import generate_from
from thermogen.control import Clamp
from thermogen.data import load_split
from thermogen.report.films import grid_png
from thermogen.seeds import USES, stream
from thermogen.studies.comparison import compare_generators, model_of
from thermogen.studies.completion import complete, shown_values
from thermogen.studies.conditional_training import ConditionalSettings
from thermogen.studies.evaluation import draw, evaluate_model, reference_of
from thermogen.studies.progress import silent
from thermogen.studies.time_step import at_step
from thermogen.studio.shown_model import ShownModel
from thermogen.studio.simulation import Simulation

SEED, COUNT = 21, 100


def words(key):
    return tuple(np.asarray(jax.random.key_data(key)).tolist())


def shown(model, count, seed, label=None):
    """The pictures that the live page reads at the end of a run, in frames of several lengths."""
    page = Simulation(ShownModel.of("shown", model), None, count=count, seed=seed)
    if label is not None:
        page.choose_class(label)
    while not page.finished:
        page.advance(7)
    return page.readout


# --- keys -------------------------------------------------------------------------------------------------


def test_two_uses_never_share_a_key():
    keys = {(seed, use): words(stream(seed, use)) for seed in (0, 1, 2**32 - 1) for use in USES}
    for (one, key), (other, second) in combinations(keys.items(), 2):
        assert key != second, f"{one} and {other} share a key"


def test_the_numbers_of_uses_stay():
    assert USES[:4] == ("imprint", "training", "generation", "path ratio")
    for number, use in enumerate(USES):
        assert words(stream(7, use)) == words(jax.random.fold_in(jax.random.key(7), number))


@pytest.mark.parametrize(
    ("seed", "use", "text"),
    [
        (-1, "generation", "seed = -1: give a whole number from 0 to 4294967295"),
        (2**32, "generation", "seed = 4294967296: give a whole number from 0 to 4294967295"),
        (0, "rivals", "unknown use of a seed 'rivals': choose one of imprint, training"),
    ],
)
def test_what_gives_no_key_is_refused(seed, use, text):
    with pytest.raises(tg.InputError, match=text):
        stream(seed, use)


def test_no_other_module_makes_a_key_of_a_seed():
    root = Path(tg.__file__).parent
    makers = {
        str(file.relative_to(root))
        for file in root.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("random.key", "PRNGKey"))
    }
    assert makers == {"seeds.py"}


# --- sample n of a seed is the same picture everywhere ----------------------------------------------------


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """The folder of a small comparison without other generators."""
    out = tmp_path_factory.mktemp("compared") / "run"
    settings = ConditionalSettings(clusters=2, modes=8, dt=0.05, seed=SEED)
    compare_generators(
        load_split(), settings, COUNT, out, classifier=tg.quality.load_classifier(), baselines=""
    )
    return out


@pytest.fixture(scope="module")
def model(compared):
    """The generator of the comparison, with the time step that the commands choose for it."""
    return at_step(model_of(compared), seed=SEED)


@pytest.fixture
def sampled(compared, command, tmp_path):
    """The arrays that `thermogen sample` writes of the generator of the comparison."""

    def sample(*options):
        file = tmp_path / "samples.npz"
        model = str(compared / "model")
        code, _, error = command("sample", model, "--seed", SEED, *options, "--out", file, "--force")
        assert code == 0, error
        with np.load(file) as arrays:
            return dict(arrays)

    return sample


def test_compare_draws_what_sample_draws(compared, sampled):
    pictures = sampled("--count", COUNT)["visible"]
    grid = grid_png(pictures, model_of(compared).image_shape)
    assert (compared / "grids" / "thermodynamic.png").read_bytes() == grid


def test_evaluate_measures_what_sample_draws(model, sampled):
    reference = reference_of(load_split(), tg.quality.load_classifier())
    _, samples = evaluate_model(model, reference, COUNT, SEED)
    arrays = sampled("--count", COUNT)
    np.testing.assert_array_equal(samples.visible, arrays["visible"])
    np.testing.assert_array_equal(samples.labels, arrays["labels"])


def test_the_live_page_shows_what_sample_draws(model, sampled):
    np.testing.assert_array_equal(shown(model, 12, SEED), sampled("--count", 12)["visible"])
    threes = sampled("--count", 12, "--label", 3)["visible"]
    np.testing.assert_array_equal(shown(model, 12, SEED, label=3), threes)


def test_complete_runs_on_the_noise_of_sample(model, sampled):
    images = load_split().held_out.first(10)
    pixels = np.arange(784) < 392
    samples, _ = complete(model, images, pixels, SEED)
    possible = shown_values(model, images)
    values = np.stack([possible[int(label)][row] for row, label in enumerate(samples.labels)])

    def generated(conditions, held):
        clamp = Clamp.visible(model.computer.units, held, values)
        key = stream(SEED, "generation")
        return tg.generate(
            key, model.computer, 10, model.schedule, conditions=conditions, clamp=clamp
        ).visible

    np.testing.assert_array_equal(samples.visible, generated(samples.conditions, pixels))
    # The same call with nothing clamped and the conditions of `sample` draws the pictures of `sample`.
    conditions = model.computer.draw(stream(SEED, "generation"), np.arange(10), np.arange(10))
    np.testing.assert_array_equal(generated(conditions, pixels & False), sampled("--count", 10)["visible"])


@pytest.mark.parametrize("kind", ["computer", "segments", "labels", "table", "network", "fields"])
def test_every_kind_of_control_draws_one_picture(kind):
    model = tg.Model(controls()[kind], SCHEDULE, (2, 3))
    label = None if kind in ("computer", "segments") else 1
    pictures = generate_from(model, 6, 5, silent).visible
    np.testing.assert_array_equal(draw(model, 6, 5)[0].visible, pictures)
    filmed = generate_from(model, 6, 5, silent, film=True).visible
    np.testing.assert_array_equal(filmed, pictures)
    of_class = generate_from(model, 6, 5, silent, label=label).visible
    np.testing.assert_array_equal(shown(model, 6, 5, label), of_class)

"""Sweeps of imperfections: paired with the perfect device, kept, resumed, drawn; and the command."""

import io
import json
from contextlib import contextmanager
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

import thermogen as tg
from thermogen.control import ModeTable
from thermogen.couplings import NoCouplings
from thermogen.errors import InputError
from thermogen.hardware.imperfect.device import make_device
from thermogen.hardware.imperfect.imperfections import NAMES, Imperfections
from thermogen.hardware.imperfect.run import run_device
from thermogen.quality import Classification, Classifier, Reference, prototype_scores
from thermogen.report.theme import DARK
from thermogen.report.tolerance import tolerance_figure, tolerance_markdown
from thermogen.seeds import stream
from thermogen.storage.model import Model
from thermogen.studies import tolerance
from thermogen.studies.tolerance import SWEPT, default_values, sweep, tolerated

SCHEDULE = tg.Schedule(t_f=1.0, dt=0.05)
KEY = jax.random.key(0)


def model(seed=0):
    """Two prototypes on 3 x 3 units, their biases switched on."""
    rng = np.random.default_rng(seed)
    prototypes = rng.normal(size=(2, 9))
    prototypes = (prototypes - prototypes.mean(1, keepdims=True)) / prototypes.std(1, keepdims=True)
    couplings = tg.published_couplings(tg.Units(visible=9, hidden=4))
    matrix = rng.normal(size=(13, 13)) * 0.2
    matrix = matrix + matrix.T
    np.fill_diagonal(matrix, 0)
    bias = np.concatenate([-2 * prototypes[0], np.zeros(4)])
    computer = tg.make_computer(couplings.with_matrix(jnp.asarray(matrix, jnp.float32)), bias=bias)
    return Model(computer, SCHEDULE, (3, 3), {"prototypes": 2}, {}, {}, prototypes)


class Brighter(Classifier):
    """Two classes: is the first pixel brighter than the last?"""

    def __init__(self):
        self.shape, self.labels, self.sha256 = (3, 3), (0, 1), "0" * 64

    def classify(self, images):
        return Classification(np.asarray(images[:, :3], float), (images[:, 0] > images[:, -1]).astype(int))


def table():
    bias = np.zeros((2, 1, 9))
    bias[0, 0, 0], bias[1, 0, 0] = 2.0, -2.0
    return ModeTable(
        reference=tg.make_computer(NoCouplings(tg.Units(9))),
        basis=jnp.eye(9, 2),
        mixing=0.1 * jnp.ones((2, 1, 2, 2)),
        bias=jnp.asarray(bias, jnp.float32),
        weights=jnp.ones(2) / 2,
        classes=(0, 1),
        duration=1.0,
    )


@pytest.fixture
def ten():
    grey = np.random.default_rng(0).uniform(size=(40, 9)).astype(np.float32)
    labels, features, distance = np.repeat([0, 1], 20), np.asarray(grey[:, :3], float), np.ones(40)
    reference = Reference(Brighter(), grey, grey, labels, features, distance)
    return Model(table(), SCHEDULE, (3, 3)), reference


class Ticks:
    """A stage that remembers, and stops at a tick."""

    def __init__(self, stop=None):
        self.seen, self.stop = [], stop

    @contextmanager
    def __call__(self, name, total):
        def tick(done, note=""):
            self.seen.append((done, total, note))
            if done == self.stop:
                raise KeyboardInterrupt

        yield tick


# --- sweeps ---------------------------------------------------------------------------------------------


def test_every_imperfection_has_defaults_that_a_device_can_have():
    assert set(SWEPT) == set(NAMES)
    for name in SWEPT:
        for value in default_values(name, model().computer):
            Imperfections.named(name, value)
    wide, narrow = default_values("linear_range", model().computer), default_values("linear_range", table())
    assert wide == narrow  # the same units
    assert wide == [0.11, 0.22, 0.44, 0.87, 1.7]


def test_figures_are_those_of_devices_on_the_noise_of_the_perfect_one():
    one = model()
    found = sweep(one, "mismatch_J2", [0.3, 0.0], devices=3, count=20, seed=4)
    assert [row["value"] for row in found["rows"]] == [0.0, 0.3]
    noise, build = stream(4, "device noise"), stream(4, "device")
    for device, run in enumerate(found["rows"][1]["runs"]):
        built = make_device(jax.random.fold_in(build, device), one.computer, Imperfections(mismatch_J2=0.3))
        samples = run_device(jax.random.fold_in(noise, device), built, 20, SCHEDULE)
        assert run["heat_kT"] == pytest.approx(samples.heat_kT.mean(dtype=float))
        assert run["correlation"] == pytest.approx(
            prototype_scores(samples.visible, one.prototypes).best.mean()
        )
    assert found["rows"][0]["quality_share"]["mean"] == 1
    assert found["rows"][0]["heat_ratio"] == {"mean": 1, "low": 1, "high": 1, "sem": 0, "n": 3}
    ratios = [a["heat_kT"] / b["heat_kT"] for a, b in zip(found["rows"][1]["runs"], found["perfect"]["runs"],
                                                         strict=True)]  # fmt: skip
    assert found["rows"][1]["heat_ratio"]["mean"] == pytest.approx(np.mean(ratios))


def test_several_models_take_turns_and_a_base_is_added():
    several = [model(0), model(1)]
    found = sweep(several, "bits", [8], devices=4, count=10, base=Imperfections(dead=0.3))
    assert (found["models"], found["base"]) == (2, {"dead": 0.3})
    alone = sweep(several[1], "bits", [8], devices=4, count=10, base=Imperfections(dead=0.3))
    assert found["rows"][0]["runs"][1] == alone["rows"][0]["runs"][1]
    assert found["rows"][0]["runs"][0] != alone["rows"][0]["runs"][0]
    assert found["perfect"]["runs"][1] == alone["perfect"]["runs"][1]


def test_conditions_are_judged_by_their_class(ten):
    one, reference = ten
    found = sweep(one, "offset", [0.5, 8.0], devices=3, count=30, reference=reference)
    assert found["measure"] == "accuracy"
    assert found["perfect"]["quality"]["mean"] > 0.9
    assert found["rows"][1]["quality"]["mean"] < found["perfect"]["quality"]["mean"]
    assert found["rows"][1]["second"]["mean"] > found["perfect"]["second"]["mean"]
    assert found["rows"][1]["second_share"]["mean"] < 1
    with pytest.raises(InputError, match="give images"):
        sweep(one, "offset", [0.5])


def test_interrupted_sweeps_go_on_with_the_same_figures(tmp_path, monkeypatch):
    one, asked = model(), {"devices": 2, "count": 10, "folder": tmp_path / "kept"}
    with pytest.raises(KeyboardInterrupt):
        sweep(one, "dead", [0.2, 0.5], stage=Ticks(stop=3), **asked)
    assert len(list((tmp_path / "kept").iterdir())) == 3
    made = []
    monkeypatch.setattr(tolerance, "run_device", lambda *a: made.append(a) or run_device(*a))
    ticks = Ticks()
    found = sweep(one, "dead", [0.2, 0.5], stage=ticks, **asked)
    assert len(made) == 3
    assert ticks.seen[-1] == (6, 6, "0.5")
    asked["folder"] = None
    assert sweep(one, "dead", [0.2, 0.5], **asked) == found
    # Another count is another run; the perfect device is shared by all imperfections.
    made.clear()
    sweep(one, "bits", [4], devices=2, count=10, folder=tmp_path / "kept")
    assert len(made) == 2
    sweep(model(1), "bits", [4], devices=2, count=10, folder=tmp_path / "kept")
    assert len(made) == 6
    for path in (tmp_path / "kept").glob("perfect-device-0*"):
        path.write_text("{")
    with pytest.raises(InputError, match=r"perfect-device-0.* is damaged: remove it"):
        sweep(one, "bits", [4], devices=2, count=10, folder=tmp_path / "kept")


def test_a_device_too_fast_for_the_step_runs_with_a_finer_one_and_has_no_quality_if_that_fails(monkeypatch):
    fast = sweep(model(), "mismatch_mobility", [0.1, 3.0], devices=3, count=10)
    last = fast["rows"][1]
    assert last["diverged"] < 3
    assert any(run.get("dt") == pytest.approx(0.005) for run in last["runs"])
    wild = sweep(model(), "mismatch_mobility", [0.1, 8.0], devices=3, count=10)
    last = wild["rows"][1]
    assert last["diverged"] > 0
    assert min(run["correlation"] for run in last["runs"]) == 0
    assert "diverged" in tolerance_markdown([wild])
    tolerance_figure([wild])
    with pytest.raises(InputError, match="perfect device diverges with dt = 40"):
        sweep(replace(model(), schedule=tg.Schedule(t_f=400.0, dt=40.0)), "dead", [0.1], dt=40.0)


def test_balance_tells_how_evenly_prototypes_are_drawn():
    one = model()
    found = sweep(one, "bits", [8], devices=2, count=30)
    noise = stream(0, "device noise")
    samples = run_device(jax.random.fold_in(noise, 0), make_device(KEY, one.computer), 30, SCHEDULE)
    share = prototype_scores(samples.visible, one.prototypes).counts / 30
    entropy = -sum(p * np.log2(p) for p in share if p)
    assert found["perfect"]["runs"][0]["balance"] == pytest.approx(entropy)


def result(shares, values=(0.1, 0.2, 0.4), more=True, base=None):
    rows = [
        {"value": value, "quality_share": {"mean": share}, "second_share": None}
        for value, share in zip(values, shares, strict=True)
    ]
    return {"rows": rows, "more_is_worse": more, "base": base or {}}


def test_tolerance_is_interpolated_between_measured_values():
    assert tolerated(result([1.0, 0.9, 0.5])) == pytest.approx(0.15)
    assert tolerated(result([0.9, 0.8, 0.5])) == pytest.approx(0.05)  # from 0, where nothing is lost
    assert tolerated(result([0.9, 0.8, 0.5], base={"dead": 0.1})) == 0
    assert tolerated(result([1.0, 0.99, 0.96])) is None
    assert tolerated(result([1.0, 0.9, 0.5]), share=0.7) == pytest.approx(0.3)
    assert tolerated(result([1.0, 0.9, 0.5], (8, 6, 4), more=False)) == pytest.approx(7)
    assert tolerated(result([0.9, 0.9, 0.5], (8, 6, 4), more=False)) == np.inf
    assert tolerated(result([1.0, 1.0, 1.0]), figure="second") == pytest.approx(0.005)  # no figure: lost
    with pytest.raises(InputError, match=r"share = 1"):
        tolerated(result([1.0, 0.9, 0.5]), share=1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "noise"}, "unknown imperfection 'noise'"), ({"devices": 1}, "devices = 1"),
        ({"count": 1}, "count = 1"), ({"values": []}, "no value of dead"), ({"values": [1.5]}, "dead = 1.5"),
        ({"seed": -1}, "seed = -1"), ({"dt": 0.03}, "dt = 0.03"), ({"model": []}, "no model given"),
    ],
)  # fmt: skip
def test_what_cannot_be_swept_is_refused(change, message):
    asked = {"model": model(), "name": "dead", "values": [0.1]} | change
    with pytest.raises(InputError, match=message):
        sweep(asked.pop("model"), asked.pop("name"), asked.pop("values"), **asked)


def test_models_without_prototypes_or_quality_are_refused():
    plain = model()
    without = Model(plain.computer, SCHEDULE, (3, 3), {"prototypes": 500})
    with pytest.raises(InputError, match="learnt 500 images and stores none"):
        sweep(without, "dead", [0.1])
    upside = Model(plain.computer, SCHEDULE, (3, 3), {}, {}, {}, -plain.prototypes[:1])
    with pytest.raises(InputError, match="nothing to lose"):
        sweep(upside, "dead", [0.1], count=5, devices=2)


# --- figure, tables, command ----------------------------------------------------------------------------


def test_figure_and_tables_show_every_value(ten):
    one, reference = ten
    few = {"devices": 2, "count": 10}
    sweeps = [sweep(model(), name, **few) for name in ("bits", "mismatch_J4", "offset", "dead", "noise_time")]
    light, dark = tolerance_figure(sweeps), tolerance_figure(sweeps, theme=DARK)
    with Image.open(io.BytesIO(light)) as picture:
        width, height = picture.size
    assert width > height > 600
    assert light != dark
    text = tolerance_markdown(sweeps)
    for one_sweep in sweeps:
        for row in one_sweep["rows"]:
            assert f"\n| {row['value']:g} |" in text
    assert "$" not in text
    classified = sweep(one, "dead", [0.1, 0.2], reference=reference, **few)
    assert "Fréchet" in tolerance_markdown([classified])
    tolerance_figure([classified])


def test_command_sweeps_keeps_and_goes_on(command, tmp_path):
    model().save_pretrained(tmp_path / "m")
    words = ("sweep", "m", "--imperfection", "mismatch_J2", "--values", "0,0.2", "--devices", 2,
             "--count", 10, "--with", "bits=6", "--with", "dead=0.1")  # fmt: skip
    code, out, _ = command(*words)
    assert code == 0
    assert "mismatch of J2" in out
    folder = tmp_path / "runs" / "sweep"
    assert {path.name for path in folder.iterdir()} == {"sweep.json", "sweep.md", "sweep.png", "devices"}
    stored = json.loads((folder / "sweep.json").read_text())["sweeps"][0]
    assert stored["base"] == {"bits": 6, "dead": 0.1}
    code, _, error = command(*words)
    assert code == 2
    assert "holds sweep.json, sweep.md, sweep.png: kept" in error
    code, out, _ = command(*words, "--force", "--json")
    assert code == 0
    assert json.loads(out)["sweeps"][0]["rows"] == stored["rows"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--imperfection", "noise"], "unknown imperfection 'noise': choose among bits"),
        (["--values", "0.1"], "--values for 17 imperfections"),
        (["--imperfection", "dead", "--values", "a"], "values 'a' are no list of numbers"),
        (["--imperfection", "dead", "--values", "2"], "dead = 2.0: give a share"),
        (["--imperfection", "dead", "--with", "bits"], "--with 'bits' is no NAME=VALUE"),
        (["--imperfection", "dead", "--with", "bits=1"], "bits = 1: give a whole number of bits"),
        (["--imperfection", "dead", "--with", "wobble=1"], "unknown imperfection 'wobble'"),
        (["--imperfection", "dead", "--devices", "1"], "devices = 1"),
        (["--imperfection", "dead", "--dt", "0.03"], "dt = 0.03 does not divide"),
    ],
)
def test_command_refuses_in_one_line(command, tmp_path, words, message):
    model().save_pretrained(tmp_path / "m")
    code, _, error = command("sweep", "m", *words)
    assert code == 2
    lines = [line for line in error.splitlines() if line.startswith("thermogen: ")]
    assert len(lines) == 1
    assert message in lines[0]


def test_command_has_help_with_an_example(command):
    code, out, _ = command("sweep", "--help")
    assert code == 0
    assert "thermogen sweep models/digits --imperfection mismatch_J2" in out

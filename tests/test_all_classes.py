"""Any asked digit, end to end on the shipped digits: train, draw, judge, complete, compare, report."""

import json
import sys

import numpy as np
import pytest

from thermogen.baselines import fit_boltzmann, fit_denoiser, fit_mixture
from thermogen.cli import main
from thermogen.data import load_split
from thermogen.errors import InputError
from thermogen.quality import load_classifier
from thermogen.storage.model import Model
from thermogen.studies import comparison
from thermogen.studies.all_classes import reproduce_all_classes
from thermogen.studies.conditional_settings import ConditionalSettings

SMALL = ["--clusters", "4", "--modes", "24", "--dt", "0.025"]


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """Run the command in an empty folder: exit code, standard output, standard error."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["thermogen", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            main()
        captured = capsys.readouterr()
        return stop.value.code or 0, captured.out, captured.err

    return call


def test_train_sample_evaluate_and_complete(run, tmp_path):
    code, out, _ = run("train-conditional", *SMALL, "--out", "m")
    assert code == 0
    assert "conditions of 24 modes, from 800 images" in out
    code, out, _ = run("evaluate", "m", "--count", "200", "--json", "--out", "q.json")
    assert code == 0
    found = json.loads(out)
    assert found == json.loads((tmp_path / "q.json").read_text())
    # 200 samples of a computer of the size of a toy: far above the 10 % of guessing, below the ceiling.
    assert found["averaged"]["accuracy"]["low"] > 0.5
    assert found["controls"]["real"]["accuracy"]["mean"] > 0.95
    assert found["controls"]["untrained"]["frechet"]["mean"] > 2 * found["averaged"]["frechet"]["mean"]
    assert set(found["unconditional"]["classes"]) == set("0123456789")
    code, out, _ = run("sample", "m", "--label", "3", "--count", "4", "--out", "three.npz")
    assert code == 0
    with np.load(tmp_path / "three.npz") as file:
        assert file["labels"].tolist() == [3] * 4
    code, out, _ = run("complete", "m", "--count", "20", "--out", "c.png", "--json")
    assert code == 0
    completed = json.loads(out)
    assert completed["n"] == 20
    assert completed["completed"]["mean"] > 0.3
    code, out, _ = run("show", "m")
    assert "conditions of 10 classes" in out


@pytest.mark.parametrize(
    ("command", "name"),
    [
        (["sample", "m", "--label", "11", "--out", "x.png"], "label 11"),
        (["evaluate", "m", "--count", "10"], "count = 10"),
        (["evaluate", "m", "--images", "small.npz"], "64 pixels"),
        (["evaluate", "m", "--classifier", "small.npz"], "small.npz"),
        (["complete", "m", "--rows", "28", "--out", "x.png"], "rows = 28"),
        (["complete", "m", "--images", "small.npz", "--out", "x.png"], "8 x 8"),
        (["compare", "--baselines", "nobody", "--out", "c"], "nobody"),
        (["classify", "m"], "this model has no label units"),
        (["classify", "m", "--count", "0"], "count = 0"),
        (["train-conditional", "--match", "2", "--out", "n"], "match = 2.0"),
        (
            ["train-conditional", "--match", "0.3", "--label-units", "--out", "n"],
            "match = 0.3 with label units",
        ),
        (
            ["train-conditional", "--label-units", "--segments", "2", "--out", "n"],
            "segments = 2 with label units",
        ),
        (["train-conditional", "--modes", "2000", "--out", "n", "--amplitude", "-1"], "amplitude = -1"),
    ],
)
def test_bad_input_is_one_line(run, tmp_path, command, name):
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "small.npz", images=rng.random((150, 8, 8)), labels=np.arange(150) % 3)
    if command[1] == "m":
        run("train-conditional", "--clusters", "1", "--modes", "4", "--dt", "0.05", "--out", "m")
    code, _, error = run(*command)
    assert code == 2
    assert name in error.splitlines()[-1]
    assert "Traceback" not in error
    assert not (tmp_path / "c").exists()


def test_label_units_draw_and_read(run, tmp_path):
    code, _, _ = run("train-conditional", *SMALL, "--label-units", "--out", "m")
    assert code == 0
    code, out, _ = run("classify", "m", "--json")
    assert code == 0
    found = json.loads(out)
    assert found["n"] == 200
    assert found["right"]["low"] > 0.5  # a toy: guessing gives a tenth
    assert set(found["by_class"]) == set("0123456789")
    code, out, _ = run("classify", "m", "--count", "20", "--wait", "5")
    assert code == 0
    assert "20 images: class right in" in out
    code, _, _ = run("sample", "m", "--label", "3", "--count", "4", "--out", "three.png")
    assert code == 0
    code, _, error = run("complete", "m", "--out", "c.png")
    assert code == 2
    assert "no table of conditions" in error.splitlines()[-1]


def test_small_images_of_another_kind(run, tmp_path):
    datasets = pytest.importorskip("sklearn.datasets")
    digits = datasets.load_digits()
    np.savez(tmp_path / "eight.npz", images=digits.images, labels=digits.target)
    code, _, _ = run(
        "train-conditional", "--images", "eight.npz", "--modes", "32", "--clusters", "8", "--out", "m"
    )
    assert code == 0
    code, _, _ = run("sample", "m", "--count", "30", "--out", "s.npz")
    assert code == 0
    with np.load(tmp_path / "s.npz") as file:
        drawn, labels = file["visible"], file["labels"]
    # Nearest class mean of the real digits judges the drawn ones: no classifier of this size ships.
    flat = digits.images.reshape(-1, 64)
    flat = (flat - flat.mean(1, keepdims=True)) / flat.std(1, keepdims=True)
    means = np.stack([flat[digits.target == label].mean(0) for label in range(10)])
    drawn = (drawn - drawn.mean(1, keepdims=True)) / drawn.std(1, keepdims=True)
    assert np.mean((drawn @ means.T - (means**2).sum(1) / 2).argmax(1) == labels) > 0.8


def test_the_main_job_for_all_classes_and_its_rivals_goes_on_after_an_interruption(tmp_path, monkeypatch):
    split, out = load_split(), tmp_path / "ten"
    settings = ConditionalSettings(clusters=4, modes=24, dt=0.025)
    call = {"classifier": load_classifier(), "baselines": "gaussians"}

    def stopped(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(comparison, "_baseline", stopped)
        with pytest.raises(KeyboardInterrupt):
            reproduce_all_classes(split, settings, 100, out, **call)
    with monkeypatch.context() as patched:  # both generators are kept
        patched.setattr(comparison, "_own", stopped)
        results = reproduce_all_classes(split, settings, 100, out, resume=True, **call)
    assert results["seconds"]["comparison"] > 0
    assert [row["name"] for row in results["rows"]] == [
        "thermodynamic, raw",
        "thermodynamic, averaged",
        "thermodynamic, matched, raw",
        "thermodynamic, matched, averaged",
        "Gaussian a class",
    ]
    page = (out / "report.html").read_text()
    assert "Gaussian a class" in page
    assert "http" not in page.split("<footer>")[0]
    assert Model.from_pretrained(out / "model").computer.labels == tuple(range(10))
    with pytest.raises(InputError, match="finished run"):
        reproduce_all_classes(split, settings, 100, out, **call)
    assert (
        reproduce_all_classes(split, settings, 100, out, resume=True, **call)["seconds"] == results["seconds"]
    )


def test_baselines_learn_and_depend_on_the_key_alone():
    import jax

    images = load_split().training
    grey, labels = images.grey(), images.labels
    asked = np.array([3, 1, 1])
    gaussian = fit_mixture(grey, labels, components=1)
    draws = gaussian.draw(jax.random.key(0), np.full(400, 3))
    # The mean of 400 draws lies within five standard errors of the class mean in (nearly) every pixel.
    error = grey[labels == 3].std(0) / 20 + 1e-3
    assert np.mean(np.abs(draws.mean(0) - grey[labels == 3].mean(0)) < 5 * error) > 0.99
    denoiser = fit_denoiser(jax.random.key(0), grey, labels, steps=5, updates=300)
    machine = fit_boltzmann(
        jax.random.key(0), grey, labels, modes=12, conditions=1, chains=20, rounds=2, wait=2.5
    )
    for baseline in (gaussian, denoiser, machine):
        first, second = (baseline.draw(jax.random.key(1), asked[:n]) for n in (3, 2))
        np.testing.assert_allclose(first[:2], second, atol=1e-4)
        assert baseline.operations > 0
        with pytest.raises(InputError, match="label 12"):
            baseline.draw(jax.random.key(1), np.array([12]))
    assert machine.heat_kT(jax.random.key(1), asked).shape == (3,)
    assert denoiser.heat_kT(jax.random.key(1), asked) is None
    # Denoised images resemble the class they are asked as more than noise does.
    means = np.stack([grey[labels == label].mean(0) for label in range(10)])
    drawn = denoiser.draw(jax.random.key(2), np.arange(10))
    own = [np.corrcoef(drawn[label], means[label])[0, 1] for label in range(10)]
    assert np.mean(own) > 0.3

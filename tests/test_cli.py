import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from typer.main import get_command

from thermogen.cli import main
from thermogen.cli.app import application
from thermogen.errors import InputError
from thermogen.storage.model import Model
from thermogen.studies.conditional_settings import ConditionalSettings
from thermogen.studies.options import options_of
from thermogen.studies.settings import Settings
from thermogen.studies.time_step import at_step, is_published

SMALL = ["--hidden", "12", "--cycles", "3", "--dt", "0.025", "--trainer", "batch"]


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """Run the command in an empty folder: exit code, standard output, standard error."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["thermogen", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            main()
        captured = capsys.readouterr()
        return stop.value.code or 0, captured.out, captured.err

    return call


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A small trained model folder."""
    folder = tmp_path_factory.mktemp("models") / "m"
    code = "import sys; from thermogen.cli import main; sys.argv[0] = 'thermogen'; main()"
    subprocess.run([sys.executable, "-c", code, "train", "--out", folder, *SMALL], check=True)
    return folder


def small_reproduce(*more):
    return ["reproduce", *SMALL, "--count", "6", "--paths", "2", "--out", "r", *more]


def test_reproduce_end_to_end(run, tmp_path):
    code, out, _ = run(*small_reproduce("--json"))
    assert code == 0
    results = json.loads((tmp_path / "r" / "results.json").read_text())
    assert json.loads(out)["heat_kT"] == results["heat_kT"]
    assert {"mean", "std", "sem", "n", "quantiles", "skewness"} == set(results["heat_kT"])
    assert {"total", "heat_part", "force_part", "identity_residual"} == set(results["path_ratio"])
    assert {"compile", "train", "sample", "total"} <= set(results["seconds"])
    for name in (
        "loss",
        "work_kT",
        "prototype_correlation",
        "prototype_counts",
        "settings",
        "versions",
        "energy",
    ):
        assert results[name], name
    assert results["heat_kT"]["n"] == 6
    assert results["path_ratio"]["identity_residual"] < 1e-8
    assert results["settings"]["digits"] == [0, 1, 2]
    names = sorted(p.name for p in (tmp_path / "r").iterdir())
    assert names == ["figures", "model", "report.html", "results.json", "samples.gif", "samples.npz"]
    with np.load(tmp_path / "r" / "samples.npz") as arrays:
        assert arrays["visible"].shape == (6, 784)
        assert arrays["heat_kT"].mean() == pytest.approx(results["heat_kT"]["mean"], rel=1e-5)

    # The same command again: kept, resumed as it is, or replaced.
    code, out, err = run(*small_reproduce())
    assert (code, out) == (2, "")
    assert "holds a finished run" in err
    assert "--force" in err
    code, out, _ = run(*small_reproduce("--resume", "--json"))
    assert code == 0
    assert json.loads(out)["heat_kT"] == results["heat_kT"]
    code, _, err = run(*small_reproduce("--resume", "--seed", "3"))
    assert code == 2
    assert "seed was 0 and is now 3" in err
    code, out, _ = run(*small_reproduce("--force", "--json"))
    assert code == 0
    assert json.loads(out)["heat_kT"] == results["heat_kT"]


KILLED = """
import os, signal, sys
from contextlib import contextmanager
from pathlib import Path
from thermogen.studies.settings import Settings
from thermogen.studies.published import Measures, reproduce

@contextmanager
def stage(name, total):
    def tick(done, note):
        stored = Path("r/.unfinished/samples").glob("*.safetensors")
        if name == sys.argv[1] and (name != "generating" or any(stored)):
            os.kill(os.getpid(), signal.SIGKILL)
    yield tick

settings = Settings(hidden=12, cycles=3, dt=0.025)
reproduce(settings, Measures(samples=9, paths=2, batch=4), Path(sys.argv[2]), resume=True, stage=stage)
"""


def test_a_killed_run_resumes_to_the_same_numbers(tmp_path):
    # The processes compile the same programs: let them share what is compiled.
    environment = {**os.environ, "JAX_COMPILATION_CACHE_DIR": str(tmp_path / "compiled")}
    environment |= {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}

    def call(stage):
        command = [sys.executable, "-c", KILLED, stage, "r"]
        return subprocess.run(command, cwd=tmp_path, env=environment, check=False).returncode

    def outcome():
        results = json.loads((tmp_path / "r" / "results.json").read_text())
        del results["seconds"]
        return results, (tmp_path / "r" / "model" / "model.safetensors").read_bytes()

    assert call("never") == 0
    whole = outcome()
    shutil.rmtree(tmp_path / "r")
    for stage in ("training", "generating", "path ratio"):  # killed three times, each time further on
        assert call(stage) == -signal.SIGKILL
        assert (tmp_path / "r" / ".unfinished" / "run.json").exists()
        assert not (tmp_path / "r" / "results.json").exists()
    assert call("never") == 0
    assert outcome() == whole
    assert not (tmp_path / "r" / ".unfinished").exists()


def test_train_sample_measure_show(run, model, tmp_path):
    code, out, _ = run("sample", model, "--count", "5", "--out", "s.npz", "--json")
    assert code == 0
    with np.load(tmp_path / "s.npz") as arrays:
        assert arrays["visible"].shape == (5, 784)
        assert arrays["hidden"].shape == (5, 12)
        assert arrays["heat_kT"].mean() == pytest.approx(json.loads(out)["heat_kT"]["mean"], rel=1e-5)
        first = arrays["visible"][:2]
    assert run("sample", model, "--count", "3", "--out", "s.png")[0] == 0
    with Image.open(tmp_path / "s.png") as picture:
        assert min(picture.size) >= 28
    assert run("sample", model, "--count", "2", "--out", "s.gif")[0] == 0
    with Image.open(tmp_path / "s.gif") as film:
        assert film.n_frames > 5
    assert run("sample", model, "--count", "2", "--out", "t.npz")[0] == 0
    with np.load(tmp_path / "t.npz") as arrays:
        assert np.allclose(arrays["visible"], first, atol=1e-4)
    code, out, _ = run("measure", model, "--count", "8", "--paths", "2", "--out", "n.json", "--json")
    assert code == 0
    assert json.loads(out) == json.loads((tmp_path / "n.json").read_text())
    assert json.loads(out)["heat_kT"]["n"] == 8
    assert json.loads(out)["path_ratio"]["total"]["n"] == 2
    code, out, _ = run("show", model)
    assert code == 0
    assert "784 visible, 12 hidden" in out
    assert json.loads(run("show", model, "--json")[1])["training"]["cycles"] == 3


def test_own_images_train(run, tmp_path):
    images = np.random.default_rng(0).normal(size=(4, 5, 6))
    np.savez(tmp_path / "mine.npz", images=images, labels=[0, 0, 1, 1])
    arguments = ["train", "--images", "mine.npz", *SMALL, "--json"]
    code, out, _ = run(*arguments, "--out", "m")
    assert code == 0
    card = json.loads(out)
    assert card["units"] == {"visible": 30, "hidden": 12, "output": 0}
    assert card["data"]["labels"] == [0, 0, 1, 1]
    code, _, err = run(*arguments, "--digits", "0,5", "--out", "n")
    assert code == 2
    assert "class 5 has 0 of 1" in err
    assert not (tmp_path / "n").exists()


def asymmetric(n):
    matrix = np.zeros((n, n))
    matrix[0, 1] = 1
    return matrix


BAD = {
    "digits": (["--digits", "0,x"], "'0,x' are no list of whole numbers"),
    "class": (["--digits", "0,11"], "class 11 has 0 of 1"),
    "imprint": (
        ["--imprint", "stamp"],
        "unknown imprint 'stamp': choose one of tile, projection, groups, code",
    ),
    "code needs two": (["--imprint", "code", "--digits", "1"], "needs at least two labels"),
    "trainer": (["--trainer", "guess"], "unknown training rule 'guess'"),
    "optimizer": (["--optimizer", "guess"], "unknown optimizer 'guess'"),
    "kT": (["--kT", "-0.1"], "kT = -0.1: give a positive number"),
    "dt": (["--dt", "-0.001"], "dt = -0.001: give a positive time step"),
    "nan": (["--dt", "nan"], "dt = nan"),
    "uneven dt": (["--dt", "0.03"], "does not divide t_f = 2.5 into whole steps: try dt = "),
    "diverging dt": (["--dt", "0.5"], "diverged at step"),
    "rate": (["--learning-rate", "0"], "learning rate = 0"),
    "diverging rate": (["--learning-rate", "1e30"], "training diverged by cycle"),
    "topology": (["--topology", "ring"], "unknown link 'ring'"),
    "cycles": (["--cycles", "-1"], "cycles = -1"),
    "seed": (["--seed", "-1"], "seed = -1"),
    "asymmetric": (["--couplings", "asymmetric.npy"], "is not symmetric: entry (0, 1) is 1.0"),
    "mis-shaped": (["--couplings", "small.npy"], "has shape (3, 3) but the computer has 796 units"),
    "mask": (["--topology", "asymmetric.npy"], "mask is not symmetric"),
    "no matrix": (["--couplings", "none.npy"], "none.npy does not exist"),
    "contradiction": (["--resume", "--force"], "contradict each other"),
}


@pytest.mark.parametrize("command", ["reproduce", "train"])
@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_line_and_exit_code_2_and_leaves_nothing(run, tmp_path, command, name):
    np.save(tmp_path / "asymmetric.npy", asymmetric(796))
    np.save(tmp_path / "small.npy", np.zeros((3, 3)))
    arguments, message = BAD[name]
    code, out, err = run(command, *SMALL, *arguments, "--out", "r")
    last = err.strip().splitlines()[-1]
    assert code == 2
    assert message in last
    assert out == ""
    assert "Traceback" not in err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["asymmetric.npy", "small.npy"]


def test_bad_files_are_one_line_and_exit_code_2(run, model, tmp_path):
    (tmp_path / "text.npz").write_text("hello")
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "mine.txt").write_text("x")
    (tmp_path / "taken.png").write_text("x")
    cases = {
        ("train", "--images", "text.npz", "--out", "m"): "is no image set",
        ("train", "--images", "none.npz", "--out", "m"): "does not exist",
        ("train", "--out", "kept", *SMALL): "it is kept",
        ("train", "--out", "kept", *SMALL, "--force"): "it is kept",
        ("reproduce", "--out", "kept", *SMALL): "is not empty",
        ("sample", "kept", "--out", "s.png"): "no model folder",
        ("sample", model, "--out", "s.jpg"): "no known ending",
        ("sample", model, "--out", "taken.png"): "exists: it is kept",
        ("sample", model, "--out", "none/s.png"): "does not exist",
        ("sample", model, "--count", "0", "--out", "s.png"): "count = 0",
        ("sample", model, "--integrator", "rk4", "--out", "s.png"): "unknown integrator 'rk4'",
        ("sample", model, "--dt", "0.5", "--out", "s.png"): "a stable step is",
        ("measure", model, "--paths", "-1"): "paths = -1",
    }
    for arguments, message in cases.items():
        code, out, err = run(*arguments)
        assert code == 2, arguments
        assert message in err.strip().splitlines()[-1], arguments
        assert out == ""
    assert (tmp_path / "kept" / "mine.txt").read_text() == "x"
    assert (tmp_path / "taken.png").read_text() == "x"
    assert not (tmp_path / "s.png").exists()


EXACT = ["--hidden", "12", "--dt", "0.0025"]


def test_exact_training_is_the_default_and_takes_segments_classes_and_compression(run, tmp_path):
    code, out, _ = run("train", *EXACT, "--out", "m", "--json")
    assert code == 0
    training = json.loads(out)["training"]
    chosen = {"trainer": "exact", "imprint": "code", "train_visible_biases": True, "readout": 0.4}
    assert chosen.items() <= training.items()
    assert training["exact"]["residual"] <= 1e-6
    images = np.random.default_rng(0).normal(size=(4, 5, 6))
    np.savez(tmp_path / "mine.npz", images=images, labels=[0, 0, 1, 1])
    mine = ["train", "--images", "mine.npz", *EXACT]
    options = ["--imprint", "tile", "--segments", "2", "--per-class", "--compress", "0.01"]
    code, out, _ = run(*mine, *options, "--out", "n", "--json")
    assert code == 0
    card = json.loads(out)
    assert card["control"] == {"segments": 2, "labels": [0, 1]}
    assert card["couplings"] == "low-rank"
    assert card["couplers_full"] == 30 * 12 + 66
    assert 0 < card["training"]["exact"]["force_error"] <= 0.01
    code, out, _ = run("show", "n")
    assert "2 segment(s) of time, one set for each of 2 classes" in out
    assert "the full matrix: 426" in out
    code, out, _ = run("measure", "n", "--count", "4", "--paths", "2", "--json")
    assert code == 0
    assert json.loads(out)["path_ratio"]["total"]["n"] == 2
    assert run("sample", "n", "--count", "3", "--label", "1", "--out", "ones.npz")[0] == 0
    with np.load(tmp_path / "ones.npz") as arrays:
        assert arrays["labels"].tolist() == [1, 1, 1]
    code, _, err = run("sample", "n", "--count", "3", "--label", "5", "--out", "fives.npz")
    assert code == 2
    assert "label 5 was not trained: choose among 0, 1" in err


def test_a_report_lays_two_trainers_side_by_side(run, tmp_path):
    arguments = ["--hidden", "12", "--dt", "0.0025", "--cycles", "2", "--count", "4", "--paths", "2"]
    code, out, _ = run(
        "reproduce", *arguments, "--trainer", "exact", "--second-trainer", "batch", "--out", "r", "--json"
    )
    assert code == 0
    results = json.loads(out)
    before, after = results["loss"]["validation"]
    assert after["loss"] < before["loss"]
    assert results["settings"]["imprint"] == "code"
    assert results["second"]["settings"]["imprint"] == "tile"
    assert results["second"]["heat_kT"]["n"] == 4
    report = (tmp_path / "r" / "report.html").read_text()
    assert "trained exactly" in report
    assert "No trajectory was sampled" in report
    assert "Two trainers side by side" in report
    code, _, err = run("reproduce", *arguments, "--second-trainer", "batch", "--out", "s")
    assert code == 2
    assert "second_trainer = 'batch' is the first one too" in err


BAD_EXACT = {
    "one image": (["--digits", "1", "--imprint", "tile"], "1 image: exact training needs two or more"),
    "one class": (["--digits", "1"], "imprint 'code' needs at least two labels"),
    "equal images": (["--images", "twice.npz"], "images 0 and 2 are equal: leave one of them out"),
    "ridge": (["--ridge", "-1"], "ridge = -1.0: give 0 or more"),
    "segments": (["--segments", "0"], "segments = 0: give 1 or more"),
    "segments and dt": (["--segments", "7"], "7 segments do not divide the 1000 steps"),
    "compression": (["--compress", "2"], "compress = 2.0: give a number between 0 and 1"),
    "no pairs": (["--hidden", "0", "--topology", "visible-hidden"], "joins a role without units"),
    "large dt": (["--dt", "0.5"], "diverged at step"),
    "readout": (["--readout", "3"], "readout = 3.0: give 0, or a time below t_f = 2.5"),
    "another trainer": (["--trainer", "batch", "--segments", "2"], "segments = 2 needs the exact trainer"),
    "start": (["--couplings", "m.npy"], "couplings = m.npy: the exact trainer solves and starts from none"),
    "low rank edges": (["--topology", "planes", "--compress", "0.1"], "cannot be compressed"),
}


@pytest.mark.parametrize("name", BAD_EXACT)
def test_bad_input_to_exact_training_is_one_line(run, tmp_path, name):
    images = np.random.default_rng(0).normal(size=(3, 4, 4))
    images[2] = images[0]
    np.savez(tmp_path / "twice.npz", images=images, labels=[0, 1, 2])
    arguments, message = BAD_EXACT[name]
    code, out, err = run("train", *EXACT, *arguments, "--out", "m")
    assert code == 2
    assert message in err.strip().splitlines()[-1]
    assert out == ""
    assert [p.name for p in tmp_path.iterdir()] == ["twice.npz"]


def test_ctrl_c_keeps_what_is_done(run, tmp_path, monkeypatch):
    from thermogen.studies import experiment

    whole_train = experiment.train

    def interrupted(*arguments, progress, **settings):
        def stop(state):
            progress(state)
            if state.done == 2:
                raise KeyboardInterrupt

        return whole_train(*arguments, progress=stop, **settings)

    monkeypatch.setattr(experiment, "train", interrupted)
    code, _, err = run("train", *SMALL, "--out", "m")
    assert code == 130
    assert "go on with --resume" in err
    assert not (tmp_path / "m").exists()
    monkeypatch.setattr(experiment, "train", whole_train)
    code, _, err = run("train", *SMALL, "--out", "m")
    assert code == 2
    assert "unfinished training" in err
    code, _, err = run("train", *SMALL, "--out", "m", "--resume", "--kT", "0.2")
    assert code == 2
    assert "kT was 0.1 and is now 0.2" in err
    assert run("train", *SMALL, "--out", "m", "--resume")[0] == 0
    assert run("train", *SMALL, "--out", "whole")[0] == 0
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("m", "whole")]
    assert weights[0] == weights[1]
    assert not (tmp_path / "m.unfinished").exists()


def test_help_and_version(run):
    code, out, _ = run("--help")
    assert code == 0
    for command in ("reproduce", "train", "sample", "measure", "show"):
        assert command in out
        code, text, _ = run(command, "--help")
        assert code == 0
        assert "--json" in text
    assert run("--version")[1].startswith("thermogen ")


@pytest.mark.parametrize(
    ("statement", "heavy"),
    [
        ("from thermogen.cli.app import application; application()", {"jax", "numpy", "matplotlib"}),
        ("import thermogen.studies.settings, thermogen.studies.conditional_settings", {"jax", "typer"}),
    ],
)
def test_help_and_settings_import_nothing_heavy(statement, heavy):
    code = f"{statement}; import sys; assert not {heavy} & set(sys.modules)"
    environment = {**os.environ}
    environment.pop("PYTEST_CURRENT_TEST", None)
    assert subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode == 0


@pytest.mark.parametrize(
    ("name", "settings", "without"),
    [
        ("train", Settings, set()),
        ("reproduce", Settings, {"per_class", "t_f"}),
        ("train-conditional", ConditionalSettings, set()),
    ],
)
def test_every_annotated_field_of_the_settings_is_an_option(name, settings, without):
    parameters = {one.name: one for one in get_command(application()).commands[name].params}
    options = options_of(settings)
    assert options.keys() & parameters.keys() == options.keys() - without
    for field in options.keys() - without - {"dt"}:  # that of reproduce is of generation
        assert options[field][1].help in parameters[field].help
        assert parameters[field].rich_help_panel == options[field][1].panel
        stated = parameters[field].default
        assert stated is None or field in ("digits", "trainer") or stated == getattr(settings(), field)


def walk(command):
    yield command
    for inner in getattr(command, "commands", {}).values():
        yield from walk(inner)


def test_shared_options_have_one_text():
    shared = ("--seed", "--count", "--json", "--force", "--images", "--resume")
    texts = {name: set() for name in (*shared, "--dt")}
    for command in walk(get_command(application())):
        for parameter in command.params:
            for name in texts.keys() & set(parameter.opts):
                texts[name].add(parameter.help)
            if "--out" in parameter.opts:
                assert parameter.help.startswith("Where to write: ")
    assert {name: len(found) for name, found in texts.items()} == {**dict.fromkeys(shared, 1), "--dt": 2}


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (["train-modes", "--out", "m"], "train-modes is now train-conditional: "),
        (["read", "m"], "read is now classify: "),
        (["hardware", "damage", "m"], "hardware damage is now hardware defects: "),
        (["sweep", "m", "--flaw", "dead"], "--flaw is now --imperfection: "),
        (["train", "--chip=c.npz", "--out", "m"], "--chip is now --defect-map: "),
        (["reproduce", "--beside", "exact"], "--beside is now --second-trainer: "),
        (["reproduce", "--samples", "3"], "--samples is now --count: "),
        (["compare", "--rivals", "all"], "--rivals is now --baselines: "),
    ],
)
def test_old_names_answer_with_the_new_ones(run, words, answer):
    code, out, err = run(*words)
    assert (code, out) == (2, "")
    assert err.startswith(f"thermogen: {answer}")
    assert err.count("\n") == 1


def test_the_step_is_chosen_unless_the_model_is_the_published_one(small_model):
    published, other = Model.from_pretrained("published"), Model.from_pretrained(small_model)
    assert is_published(published)
    assert at_step(published).schedule == published.schedule
    assert at_step(published, "0.005").schedule.dt == 0.005
    assert not is_published(other)
    assert at_step(other).schedule == at_step(other, "auto").schedule
    assert at_step(other).schedule.dt != other.schedule.dt
    assert at_step(other, 0.01).schedule == other.schedule
    assert not is_published(replace(published, training={**published.training, "cycles": 99}))
    with pytest.raises(InputError, match=r"dt = 0\.03 does not divide"):
        at_step(other, "0.03")


def test_sample_takes_a_step_that_suits_other_noise_and_other_precisions(command, small_model, tmp_path):
    def draw(name, *words):
        code, out, err = command("sample", small_model, "--count", 40, "--out", name, *words, "--json")
        assert code == 0, err
        return json.loads(out), np.load(tmp_path / name)

    plain, single = draw("a.npz", "--dt", 0.01)
    _, double = draw("b.npz", "--dt", 0.01, "--double")
    assert double["visible"].dtype == np.float64
    assert 0 < np.abs(double["visible"] - single["visible"]).max() < 1e-3
    chosen, _ = draw("c.npz", "--integrator", "heun", "--noise", "three-point")
    assert chosen["dt"] > 2 * plain["dt"]
    assert abs(chosen["heat_kT"]["mean"] - plain["heat_kT"]["mean"]) < 5 * plain["heat_kT"]["sem"] * 2**0.5
    _, rounded = draw("d.npz", "--dt", 0.01, "--products", "bfloat16")
    assert 0 < np.abs(rounded["visible"] - single["visible"]).max() < 0.1
    for words, message in (
        (("--dt", "fast"), "dt = fast: give a number, e.g. 0.01, or 'auto'"),
        (("--noise", "pink"), "unknown noise 'pink': choose one of gaussian, three-point"),
        (("--products", "int8"), "unknown products 'int8': choose one of full, bfloat16"),
    ):
        code, _, err = command("sample", small_model, "--out", "e.npz", *words)
        assert (code, message in err) == (2, True)

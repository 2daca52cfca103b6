"""Stored models as circuits: exported, verified, reported, and refused in one line."""

import json
import subprocess

import jax.numpy as jnp
import numpy as np
import pytest

import thermogen as tg
from thermogen.hardware import record
from thermogen.hardware.spice.ngspice import read_raw
from thermogen.studies.circuit import verify_model, verify_random
from thermogen.studies.circuit_model import make_circuit_model
from thermogen.studies.experiment import prepare


@pytest.mark.usefixtures("ngspice")
def test_a_model_is_verified_and_reported(small_model, tmp_path):
    circuit = make_circuit_model(tg.Model.from_pretrained(small_model), record("cmos-1fF"))
    results = verify_model(circuit, tmp_path / "out", 20)
    assert results["pathwise"]["agrees"]
    assert abs(results["heat_kT"]["z"]) < 4
    page = (tmp_path / "out" / "report.html").read_text()
    assert "Images from the noise of a circuit" in page
    assert "ngspice-" in page
    with np.load(tmp_path / "out" / "samples.npz") as stored:
        assert stored["visible"].shape == (20, 9)
    assert not (tmp_path / "out" / ".unfinished").exists()
    assert verify_model(circuit, tmp_path / "out", 20)["heat_kT"] == results["heat_kT"]
    with pytest.raises(tg.InputError, match="count was 20 and is now 30"):
        verify_model(circuit, tmp_path / "out", 30)


@pytest.mark.usefixtures("ngspice")
def test_random_computers_are_verified(tmp_path, monkeypatch):
    monkeypatch.setattr("thermogen.studies.circuit.SIZES", (2, 3))
    monkeypatch.setattr("thermogen.studies.circuit.AVERAGED", 2)
    results = verify_random(record("cmos-1fF"), tmp_path / "out", 50)
    assert [row["units"] for row in results["rows"]] == [2, 3]
    assert results["averages"]["paths"] == 50
    assert (tmp_path / "out" / "results.json").exists()


@pytest.mark.usefixtures("ngspice")
def test_an_exported_deck_runs_as_it_is(command, small_model, tmp_path):
    code, out, _ = command("export", "spice", small_model, "--out", "a.cir", "--count", 2)
    assert code == 0
    assert "ngspice -b a.cir" in out
    subprocess.run(["ngspice", "-b", "a.cir"], cwd=tmp_path, check=True, capture_output=True)
    plots = read_raw(tmp_path / "a.raw")
    assert len(plots) == 2
    circuit = make_circuit_model(tg.Model.from_pretrained(small_model), record("cmos-1fF"))
    last = np.array([plot.values[49, 1:] for plot in plots])
    assert np.all(np.abs(last) < 5 * circuit.physical.scale)
    assert np.abs(last).max() > 0.1 * circuit.physical.scale


def test_commands_without_ngspice(command, small_model, monkeypatch):
    monkeypatch.setenv("PATH", "")
    code, _, err = command("hardware", "verify", small_model)
    assert code == 2
    assert err.startswith("thermogen: ngspice is not installed: install it")
    assert len(err.strip().splitlines()) == 1
    assert command("export", "spice", small_model, "--out", "b.cir")[0] == 0


def test_figures_and_json(command, small_model, tmp_path):
    code, out, _ = command("hardware", "figures", small_model, "--heat", 100, "--json")
    found = json.loads(out)
    assert code == 0
    assert found["heat of a sample"] == {"value": pytest.approx(100 * 1.380649e-23 * 300), "unit": "J"}
    code, out, _ = command("export", "json", small_model, "--out", "d.json", "--platform", "josephson")
    assert code == 0
    stored = json.loads((tmp_path / "d.json").read_text())
    assert stored["platform"]["name"] == "josephson"
    assert len(stored["bias"]) == 13
    code, out, _ = command("hardware", "platforms")
    assert code == 0
    assert "cantilever" in out


@pytest.mark.parametrize(("words", "message"), [
    (("--set", "capacitance"), "--set capacitance: write NAME=VALUE"),
    (("--set", "capacitance=1aF"), "capacitance = 1aF is outside the range of cmos-1fF"),
    (("--platform", "vacuum"), "unknown platform 'vacuum'"),
    (("--label", "3"), "label = 3: one computer generates all classes"),
    (("--segment", "1"), "segment = 1: couplings do not change in time"),
])  # fmt: skip
def test_commands_refuse_in_one_line(command, small_model, words, message):
    code, _, err = command("export", "spice", small_model, "--out", "x.cir", *words)
    assert code == 2
    assert err.startswith(f"thermogen: {message}")
    assert len(err.strip().splitlines()) == 1


def test_models_that_change_need_a_choice(two_patterns, tmp_path):
    prepared = prepare(two_patterns(tmp_path, segments=2))
    changing = prepared.model(prepared.train())
    own = record("cmos-1fF")
    with pytest.raises(tg.InputError, match="couplings change in time, name one of 0 to 1 with --segment"):
        make_circuit_model(changing, own)
    circuit = make_circuit_model(changing, own, segment=1)
    assert circuit.schedule.t_f == 1.25
    units = tg.Units(6)
    basis = jnp.asarray(np.linalg.qr(np.random.default_rng(0).normal(size=(6, 2)))[0], jnp.float32)
    table = tg.ModeTable(
        reference=tg.make_computer(tg.couplings.NoCouplings(units)),
        basis=basis,
        mixing=jnp.asarray(np.random.default_rng(1).normal(size=(2, 1, 2, 2)), jnp.float32),
        bias=jnp.zeros((2, 1, 6), jnp.float32),
        weights=jnp.full(2, 0.5),
        classes=(4, 7),
        duration=2.5,
    )
    many = tg.Model(table, tg.Schedule(), (2, 3))
    with pytest.raises(tg.InputError, match="this model generates classes 4, 7: name one with --label"):
        make_circuit_model(many, own)
    chosen = make_circuit_model(many, own, label=7)
    J = chosen.computer.couplings
    assert J.batch == ()
    assert np.array_equal(J.mixing, table.mixing[1, 0])


def test_a_sweep_that_is_none_is_refused_before_any_work(small_model, tmp_path):
    circuit = make_circuit_model(tg.Model.from_pretrained(small_model), record("cmos-1fF"))
    with pytest.raises(tg.InputError, match=r"holds no sweep.png: make it with 'thermogen sweep MODEL"):
        verify_model(circuit, tmp_path / "out", 20, tolerance=tmp_path)
    assert not (tmp_path / "out").exists()


def test_circuits_too_large_for_ngspice_are_refused(small_model, tmp_path, monkeypatch):
    circuit = make_circuit_model(tg.Model.from_pretrained(small_model), record("cmos-1fF"))
    monkeypatch.setattr("thermogen.studies.circuit_model.DENSE", 5)
    with pytest.raises(tg.InputError, match="13 units coupled pair by pair: ngspice is slow beyond 5"):
        verify_model(circuit, tmp_path / "out", 20)


@pytest.mark.usefixtures("ngspice")
def test_another_model_in_the_same_place_is_not_taken_for_the_first(two_patterns, small_model, tmp_path):
    own = record("cmos-1fF")
    verify_model(make_circuit_model(tg.Model.from_pretrained(small_model), own), tmp_path / "out", 2)
    experiment = prepare(two_patterns(tmp_path, ridge=0.1))
    other = make_circuit_model(experiment.model(experiment.train()), own)
    with pytest.raises(tg.InputError, match="weights was "):
        verify_model(other, tmp_path / "out", 2)

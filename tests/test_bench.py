"""The bench on a small computer: what it reports, and its history. Not how fast anything is."""

import json

import numpy as np
import pytest

import thermogen as tg
from thermogen.seeds import stream
from thermogen.studies.speed import SpeedSettings, bench
from thermogen.studies.speed.kernels import FORMS, STEPS, computers, multiply_adds, steps
from thermogen.studies.speed.run import changes, earlier, keep
from thermogen.studies.speed.timing import in_turns, ratio

SMALL = SpeedSettings(visible=16, hidden=9, batch=5, turns=2, samples=0)


@pytest.fixture(scope="module")
def found():
    return bench(SMALL)


def test_every_bound_and_step_has_its_figures(found):
    assert set(found["bounds"]) == {
        "products", "products, bfloat16", "noise, gaussian", "noise, three-point", "pass over the state"
    }  # fmt: skip
    assert list(found["steps"]) == [name for name, *_ in FORMS]
    for row in (*found["bounds"].values(), *found["steps"].values()):
        assert all(
            value > 0 for key, value in row.items() if not isinstance(value, dict) and key != "compile_s"
        )
    assert found["steps"]["full"]["faster_than_full"] == {"median": 1.0, "min": 1.0, "max": 1.0}
    shares = [name for name, row in found["steps"].items() if "of_its_products" in row]
    assert shares == ["full", "full, weak noise", "full, bfloat16", "full, bfloat16, weak noise"]
    rate = found["bounds"]["products"]
    assert rate["gflops"] == pytest.approx(2 * 5 * (2 * 16 * 9 + 81) / rate["ms"] / 1e6)
    assert found["machine"]["cores"] >= 1
    json.dumps(found)


def test_what_is_timed_is_a_run_of_the_program():
    """The same steps by `simulate`, from the same state and key."""
    import jax.numpy as jnp

    units = tg.Units(16, 9)
    works = steps(units, 5)
    x = jnp.asarray(np.random.default_rng(7).normal(size=(5, 25)), jnp.float32) * 0.3
    made = computers(units, 5)
    for name, kind, method in FORMS:
        run = tg.simulate(stream(0, "speed"), made[kind], x, steps=STEPS, dt=1e-3, integrator=method)
        assert np.array_equal(works[name](), run.final), name
    assert multiply_adds(units) == sum(m.size for m in made["full"].couplings.prepared().matrices)


def test_works_are_taken_in_turns_and_compiling_is_told_apart():
    calls = []
    times, compiling = in_turns({name: lambda name=name: calls.append(name) for name in "ab"}, 3)
    assert calls == list("abababab")
    assert {name: len(values) for name, values in times.items()} == {"a": 3, "b": 3}
    assert all(value >= 0 for value in compiling.values())
    assert ratio(np.array([2.0, 6, 4]), np.array([1.0, 2, 4])) == {"median": 2.0, "min": 1.0, "max": 3.0}


def test_a_history_compares_a_machine_with_itself_alone(found, tmp_path):
    file = tmp_path / "history.jsonl"
    assert earlier(file, found) is None
    keep(file, found)
    other = {**found, "machine": {"processor": "another"}}
    keep(file, other)
    old = earlier(file, found)
    assert old is not None
    assert set(changes(old, found).values()) == {0.0}
    slower = {**found, "steps": {"full": {"ms": 3 * found["steps"]["full"]["ms"]}}}
    assert changes(old, slower)["steps: full"] == pytest.approx(2.0)
    assert earlier(file, {**found, "batch": 6}) is None
    file.write_text("nonsense\n")
    with pytest.raises(tg.InputError, match=r"line 1 of .*history\.jsonl is no bench"):
        earlier(file, found)


def test_the_command(command, tmp_path):
    words = ("bench", "--count", 0, "--turns", 1, "--batch", 3, "--visible", 16, "--hidden", 4)
    code, out, _ = command(*words, "--history", "h.jsonl")
    assert code == 0
    assert "of its products" in out
    assert "against" not in out
    code, out, _ = command(*words, "--history", "h.jsonl")
    assert "this machine" in out
    code, out, _ = command(*words, "--json")
    assert json.loads(out)["batch"] == 3
    for bad, message in (
        (("--batch", 0), "batch = 0: give 1 or more"),
        (("--visible", 10, "--count", 5), "visible = 10: samples are the shipped digits"),
        (("--history", "no/h.jsonl"), "folder no does not exist: create it first"),
    ):
        code, _, err = command("bench", *bad)
        assert (code, message in err) == (2, True)


def test_samples_and_training_of_a_small_computer():
    found = bench(SpeedSettings(hidden=6, batch=2, turns=1, samples=8))
    rows = found["samples"]
    assert rows["low rank, published step"]["steps"] == 2500
    assert rows["low rank"]["steps"] < 500
    for row in rows.values():
        assert row["samples_per_s"] == pytest.approx(1e3 / row["ms"])
        assert row["published_over_this"] == pytest.approx(5600 / row["ms"])
        assert np.isfinite(row["heat_kT"])
    assert all(value >= 0 for value in found["training"].values())

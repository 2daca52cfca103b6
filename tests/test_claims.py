"""Claims: figures decide a verdict both ways; runs are kept, resumed and never trusted blindly."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import thermogen as tg
from thermogen.storage.cache import ResultCache
from thermogen.studies.claims import CLAIMS, VERDICTS, Claim, Finding, Plan, Run, run_claims, table
from thermogen.studies.claims.base import CONDITION, FAILS, HOLDS
from thermogen.studies.claims.page import markdown
from thermogen.studies.claims.structure import extent, field_measures, neighbour_correlation

PLAN = Plan(True, seeds=3, pairs=5, samples=10, cycles=2, long_cycles=2, coarse_cycles=1, dt=0.05)
BY_NUMBER = {claim.number: claim for claim in CLAIMS}


def judged(number, figures, plan=PLAN):
    """The finding of a claim when each of its runs has the figures that `figures(run)` gives."""
    claim = BY_NUMBER[number]
    return claim.verdict(plan, {run.key: figures(run) for run in claim.runs(plan)})


def jitter(run, size=0.001):
    return 1 + size * (sum(run.key.encode()) % 7 - 3)


def test_every_claim_of_the_list_is_there_once():
    assert [claim.number for claim in CLAIMS] == sorted({claim.number for claim in CLAIMS})
    assert set(range(1, 14)) <= BY_NUMBER.keys()
    for claim in CLAIMS:
        runs = claim.runs(PLAN)
        assert len({run.key for run in runs}) == len(runs)
        assert claim.published
        assert claim.source


# --- verdicts -------------------------------------------------------------------------------------------


def test_the_published_heat_is_a_matter_of_scale():
    def at(unit, large):
        def figures(run):
            heat = large if run.settings["settings"]["amplitude"] > 3 else unit
            return {"heat_kT": heat * jitter(run), "heat_sd": 350.0 * jitter(run)}

        return judged(1, figures).verdict

    assert at(2900.0, 6000.0) == HOLDS
    assert at(1270.0, 2900.0) == CONDITION
    assert at(1270.0, 2000.0) == FAILS


def test_the_path_ratio_is_the_heats_only_without_a_force_part():
    def figures(run, force):
        return {"total": -30.0 * jitter(run), "heat_part": -280.0 * jitter(run), "residual": 1e-13,
                "force_part": force * jitter(run) if force else 5.0 * (jitter(run) - 1)}  # fmt: skip

    assert judged(5, lambda run: figures(run, 250.0)).verdict == FAILS
    assert judged(5, lambda run: figures(run, 0.0)).verdict == HOLDS


def test_training_minimises_heat_only_if_heat_falls_with_the_loss():
    def figures(run, sign):
        rows = [{"cycles": n, "factor": f, "heat_kT": (500 + sign * 100 * n) * jitter(run), "loss": 600.0 - n}
                for n, f in enumerate((0.8, 0.9, 1.0, 1.1))]  # fmt: skip
        for row in rows:
            row["loss"] += 3 * (row["factor"] - 1) ** 2 if run.name.startswith("stretching") else 0
        return {"along": rows}

    assert judged(6, lambda run: figures(run, 1)).verdict == FAILS
    assert judged(6, lambda run: figures(run, -1)).verdict == CONDITION


@pytest.mark.parametrize(("heat", "verdict"), [(1e-11, CONDITION), (1e-10, FAILS)])
def test_the_ratio_holds_for_heat_alone_and_says_what_is_left(heat, verdict):
    found = judged(3, lambda run: {"ratios": {"heat alone": jitter(run) / heat * 2, "whole device": 400.0}})
    assert found.verdict == verdict
    assert found.figures["log10_ratio"]["whole device"]["mean"] == pytest.approx(np.log10(400))


@pytest.mark.parametrize(
    ("own", "blind", "verdict"), [(1.0, 0.0, HOLDS), (1.0, 0.9, CONDITION), (0.2, 0.0, FAILS)]
)
def test_fields_tell_of_learning_only_if_blind_computers_have_none(own, blind, verdict):
    def figures(run):
        def measured(share, correlation):
            return {"smooth": share, "concentrated": share, "digit_like": share, "correlation": correlation,
                    "rms": 0.01 * jitter(run), "extent": 9.5, "extent_shuffled": 11.4}  # fmt: skip

        return {**measured(own * jitter(run), 0.7), "blind": measured(blind * jitter(run), 0.2),
                "extent_of_digits": 7.8}  # fmt: skip

    assert judged(4, figures).verdict == verdict


@pytest.mark.parametrize(
    ("after", "image", "verdict"), [(500.0, 0.8, HOLDS), (0.0, 0.8, FAILS), (500.0, 0.02, FAILS)]
)
def test_an_appointed_time_needs_images_and_heat_still_to_come(after, image, verdict):
    def figures(run):
        noise = jitter(run) - 1
        correlation = [0.02 + noise] * 4 + [image + noise] + [image / 2] * 28
        later = after * jitter(run) + 3 * (jitter(run) - 1)
        return {"times": list(range(33)), "correlation": correlation, "heat_before_kT": 1000.0 * jitter(run),
                "heat_after_kT": later}  # fmt: skip

    assert judged(7, figures).verdict == verdict


@pytest.mark.parametrize(
    ("plane", "alone", "coded", "verdict"),
    [(0.1, 0.95, 0.95, HOLDS), (0.1, 0.5, 0.95, CONDITION), (0.9, 0.5, 0.5, FAILS)],
)
def test_a_driven_protocol_must_beat_the_constant_one_and_draw_both_kinds(plane, alone, coded, verdict):
    def figures(run):
        driven = run.settings["segments"] > 1
        if run.name.startswith("gaussians"):
            distance = plane if driven else 0.8
            return {"distance": distance * jitter(run), "floor": 0.05, "gaussian": 1.0, "spread": 1.1,
                    "share": run.settings["weight"] * jitter(run), "between": 0.0}  # fmt: skip
        clear = coded if "coded" in run.name else alone
        return {"zero": 0.5, "one": 0.4, "rarer": 0.4 * jitter(run), "sure": clear, "correlation": 0.8,
                "clear": clear * jitter(run), "size": 1.0, "inverted": 0.0, "ceiling": {"sure": 0.99},
                "noise": {"zero": 0.02, "one": 0.2, "sure": 0.1, "rarer": 0.02}}  # fmt: skip

    assert judged(13, figures).verdict == verdict


@pytest.mark.parametrize(("lower", "verdict"), [(0.056, HOLDS), (0.20, CONDITION), (-0.05, FAILS)])
def test_the_online_rule_is_judged_by_pairs(lower, verdict):
    def figures(run):
        seed = 1 + 0.2 * (int(run.name.split("-")[-1]) % 5)  # seeds differ far more than the rules
        factor = 1 - lower * jitter(run, 0.01) if "online" in run.name else 1.0
        return {"heat_kT": 1300 * seed * factor, "loss": 647.0 * factor**0.001}

    assert judged(8, figures).verdict == verdict
    assert judged(9, figures).verdict == HOLDS


def test_storage_is_judged_by_what_is_lost():
    def figures(run, four):
        heat = {"None": 1.0, "2": 0.1, "3": 0.9, "4": four, "5": 1.0, "6": 1.0, "8": 1.0}
        return {
            bits: {
                "heat_kT": 1300 * value * jitter(run),
                "correlation": 0.4 * value,
                "visible_hidden_rms": 0.1,
            }
            for bits, value in heat.items()
        }

    assert judged(10, lambda run: figures(run, 0.99)).verdict == HOLDS
    assert judged(10, lambda run: figures(run, 0.7)).verdict == CONDITION


def test_training_in_few_bits_needs_zeros_and_sixteen_that_work():
    def figures(run, sixteen, stuck):
        noise = run.settings["noise"]
        nearest = noise["rounding"] == "nearest"
        coarse = noise["bits"] in (4, 6, 8)
        zero = coarse and nearest and stuck
        heat = 0.01 if zero else sixteen if noise["bits"] == 16 else 1.0
        return {
            "heat_kT": 900 * heat * jitter(run),
            "correlation": 0.3 * jitter(run),
            "couplings": {"visible-hidden": {"largest": 0.0 if zero else 0.1, "rms": 0.01}},
            "loss": 640.0 + (0.5 * jitter(run) if coarse else 0),
        }

    assert judged(11, lambda run: figures(run, 1.0, True)).verdict == HOLDS
    assert judged(11, lambda run: figures(run, 1.0, False)).verdict == CONDITION
    assert judged(11, lambda run: figures(run, 0.5, True)).verdict == FAILS


def test_the_crossover_must_lie_where_it_was_published():
    def figures(run, edge):
        noise = run.settings["noise"]
        sigma = noise["update_noise"] * (1e-3 / 0.2) ** 0.5
        heat = 1.0 if sigma < edge else 2.0
        heat += 0.1 * noise["residual_noise"] * (20 if noise["correlation"] else 1) + 30 * noise["offset"]
        return {"heat_kT": 1300 * heat * jitter(run), "correlation": 0.4 * jitter(run),
                "couplings": {"hidden-hidden": {"largest": 0.1, "rms": 0.01}}}  # fmt: skip

    assert judged(12, lambda run: figures(run, 0.33)).verdict == HOLDS
    assert judged(12, lambda run: figures(run, 0.25)).verdict == CONDITION


def test_a_training_that_left_all_scales_is_worse_than_any():
    def figures(run):
        noise = run.settings["noise"]
        if noise["offset"]:
            return {"diverged": "training diverged by cycle 3"}
        sigma = noise["update_noise"] * (1e-3 / 0.2) ** 0.5
        heat = (2.0 if sigma > 0.33 else 1.0) + 0.1 * noise["residual_noise"] * (
            20 if noise["correlation"] else 1
        )
        return {"heat_kT": 1300 * heat * jitter(run), "correlation": 0.4,
                "couplings": {"hidden-hidden": {"largest": 0.1, "rms": 0.01}}}  # fmt: skip

    found = judged(12, figures)
    assert found.verdict == HOLDS
    assert found.figures["offset 0.1"] == {"diverged": 3}


# --- measures of fields ---------------------------------------------------------------------------------


def test_neighbours_of_stripes_noise_and_chess():
    rows, columns = np.indices((28, 28))
    chess = (-1.0) ** (rows + columns)
    wave = np.sin(2 * np.pi * columns / 28)
    noise = np.random.default_rng(0).normal(size=(400, 28, 28))
    found = neighbour_correlation(np.concatenate([chess[None], wave[None], noise]))
    assert found[0] == pytest.approx(-1)
    line = np.eye(28, k=1) + np.eye(28, k=-1)
    weights = np.kron(line, np.eye(28)) + np.kron(np.eye(28), line)
    for map_, one in zip((wave, noise[3]), found[[1, 5]], strict=True):
        z = map_.ravel() - map_.mean()
        assert one == pytest.approx(784 / weights.sum() * (z @ weights @ z) / (z @ z))
    # Of independent pixels: mean -1 / (n - 1), variance about 1 / pairs.
    assert abs(found[2:].mean() + 1 / 783) < 4 * np.sqrt(1 / 1512 / 400)
    assert found[2:].std() == pytest.approx(np.sqrt(1 / 1512), rel=0.2)


def test_extent_of_a_point_and_of_a_flat_map():
    maps = np.zeros((2, 28, 28))
    maps[0, 4, 9] = -3.0
    maps[1] = 1.0
    point, flat = extent(maps)
    assert point == pytest.approx(0)
    assert flat == pytest.approx(np.sqrt(2 * (28**2 - 1) / 12))


def test_fields_of_digits_are_told_from_shuffled_ones():
    digits = tg.load_digits([0, 1, 2]).standardised()
    noise = np.random.default_rng(1).normal(size=(60, 784))
    alike = field_measures((digits[np.arange(60) % 3] + 0.5 * noise).reshape(-1, 28, 28), digits, 0)
    random = field_measures(noise.reshape(-1, 28, 28), digits, 0)
    for name in ("smooth", "digit_like", "concentrated"):
        assert alike[name] == 1
        assert random[name] < 0.1  # one in a hundred by chance


# --- the cache ------------------------------------------------------------------------------------------


def toy(calls, value=1.0, fail=False):
    """A claim of two runs that count how often they are made."""

    def work(number):
        def make(cache):
            if fail and number == 1:
                raise KeyboardInterrupt
            calls.append(number)
            return {"x": value + number}

        return make

    runs = [Run(f"toy-{n}", {"n": n, "value": value}, work(n)) for n in range(2)]
    return Claim(
        99, "toy", "1", "nobody", lambda plan: runs,
        lambda plan, found: Finding(HOLDS, str(sum(f["x"] for f in found.values())), {"a": {"b": 1.5}}, "w"),
    )  # fmt: skip


def test_runs_are_kept_and_interrupted_work_goes_on(tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(table, "CLAIMS", (toy(calls, fail=True),))
    with pytest.raises(KeyboardInterrupt):
        run_claims(PLAN, tmp_path / "out")
    monkeypatch.setattr(table, "CLAIMS", (toy(calls),))
    results = run_claims(PLAN, tmp_path / "out")
    assert calls == [0, 1]
    assert results["claims"][0]["ours"] == "3.0"
    assert json.loads((tmp_path / "out" / "claims.json").read_text()) == json.loads(json.dumps(results))
    page = (tmp_path / "out" / "claims.md").read_text()
    assert "| 99 | toy | 1 | 3.0 | **holds** |" in page
    assert "| a, b | 1.5 |" in page
    run_claims(PLAN, tmp_path / "out")
    assert calls == [0, 1]
    monkeypatch.setattr(table, "CLAIMS", (toy(calls, value=2.0),))  # other settings: other runs
    assert run_claims(PLAN, tmp_path / "out")["claims"][0]["ours"] == "5.0"
    run_claims(PLAN, tmp_path / "out", force=True)
    assert calls == [0, 1, 0, 1, 0, 1]


def test_one_claim_run_again_does_not_lose_the_others(tmp_path, monkeypatch):
    calls = []
    first, second = toy(calls), toy(calls, value=7.0)
    monkeypatch.setattr(table, "CLAIMS", (replace(first, number=1), replace(second, number=2)))
    run_claims(PLAN, tmp_path / "out")
    assert calls == [0, 1, 0, 1]
    alone = run_claims(PLAN, tmp_path / "out", [2], force=True)
    assert calls == [0, 1, 0, 1, 0, 1]
    assert [row["number"] for row in alone["claims"]] == [2]
    kept = json.loads((tmp_path / "out" / "claims.json").read_text())
    assert [row["number"] for row in kept["claims"]] == [1, 2]


def test_a_damaged_run_and_a_strange_folder_are_named(tmp_path, monkeypatch):
    claim = toy([])
    monkeypatch.setattr(table, "CLAIMS", (claim,))
    run_claims(PLAN, tmp_path / "out")
    run = claim.runs(PLAN)[0]
    file = tmp_path / "out" / "runs" / f"{run.key}.json"
    for broken in ("{", "[]", "{}"):
        file.write_text(broken)
        with pytest.raises(tg.InputError, match=r"toy-0.*is damaged: remove it"):
            run_claims(PLAN, tmp_path / "out")
    file.unlink()
    (tmp_path / "out" / "thesis.tex").write_text("precious")
    with pytest.raises(tg.InputError, match=r"holds thesis\.tex: it is kept"):
        run_claims(PLAN, tmp_path / "out", force=True)
    with pytest.raises(tg.InputError, match="is a file: choose another --out"):
        run_claims(PLAN, tmp_path / "out" / "thesis.tex")


def test_a_run_of_another_version_is_not_trusted(tmp_path, monkeypatch):
    calls = []
    run = toy(calls).runs(PLAN)[0]
    cache = ResultCache(tmp_path)
    run.figures(cache)
    with monkeypatch.context() as patched:
        patched.setattr("thermogen.studies.claims.base.versions", lambda: {"thermogen": "0.0.1"})
        run.figures(cache)
    run.figures(cache)
    assert calls == [0, 0]


def test_the_page_of_the_documentation_is_that_of_its_kept_figures():
    root = Path(__file__).parent.parent
    content = json.loads((root / "benchmarks" / "results" / "claims.json").read_text())
    assert (root / "docs" / "claims.md").read_text() == markdown(content)
    assert not content["plan"]["quick"]
    assert {row["number"] for row in content["claims"]} == BY_NUMBER.keys()


# --- the command ----------------------------------------------------------------------------------------


def test_the_command_prints_a_table_and_json(command, tmp_path):
    code, out, _ = command("claims", 2, "--quick")
    assert code == 0
    assert "holds" in out
    assert (tmp_path / "runs" / "claims-quick" / "claims.md").exists()
    code, out, _ = command("claims", 2, "--quick", "--json")
    row = json.loads(out)["claims"][0]
    assert row["figures"]["macs_per_step"] == 784 * 128 + 128 * 128 + 128 * 784
    assert row["verdict"] in VERDICTS


@pytest.mark.parametrize(("words", "message"), [
    (("claims", 77), "claim 77 is not in the list"),
    (("claims", 2, "--images", "nowhere.npz"), "nowhere.npz"),
])  # fmt: skip
def test_what_cannot_be_asked_is_one_line(command, words, message):
    code, out, err = command(*words)
    assert code == 2
    assert message in err
    assert len(err.strip().splitlines()) == 1
    assert not out


def test_claims_run_on_real_digits_and_share_their_trainings(tmp_path):
    plan = Plan(True, seeds=2, pairs=2, samples=4, cycles=1, long_cycles=1, coarse_cycles=1, dt=0.05)
    results = run_claims(plan, tmp_path, [1, 5, 10])
    assert [row["number"] for row in results["claims"]] == [1, 5, 10]
    ratio = results["claims"][1]["figures"]
    assert ratio["largest_identity_residual"] < 1e-10
    for key in ("total", "heat_part", "force_part"):
        assert ratio[key]["n"] == 2
    # Claims 1 and 5 share two trainings; claim 1 has two more at the larger scale, claim 10 two online.
    assert len(list((tmp_path / "models").iterdir())) == 6
    assert results["seconds"] > 0

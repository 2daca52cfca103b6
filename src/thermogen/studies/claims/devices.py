"""Claims of Wang & Deng on imperfect hardware: couplings of few bits, and errors of what trains them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import equinox as eqx
import numpy as np

from thermogen.couplings import BlockCouplings, quantised
from thermogen.storage.cache import ResultCache
from thermogen.studies.claims.base import Claim, Figures, Finding, Plan, Run, grade
from thermogen.studies.claims.online import SOURCE
from thermogen.studies.claims.runs import (
    block_sizes,
    drawing,
    online,
    over,
    ratio_over,
    repeated,
    rows_of,
    sampled,
    say,
    seeds,
    trained,
)
from thermogen.studies.measures import interval
from thermogen.training import TrainingNoise

STORED = (2, 3, 4, 5, 6, 8)
WIDTHS = {"nearest": (4, 6, 8, 16), "stochastic": (4, 6, 8)}
UNIT = (1e-3 / (2 * 0.1)) ** 0.5
"""r_0 at the published dt = 1e-3, kT = 0.1: an error of a gradient, over this, is in units of r_0."""


# --- 10: couplings stored with few bits -------------------------------------------------------------------


def _storage(plan: Plan, seed: int) -> Run:
    settings = online(plan, seed)

    def work(cache: ResultCache) -> Figures:
        experiment, computer = trained(cache, settings)
        couplings = computer.couplings
        assert isinstance(couplings, BlockCouplings)
        figures = {}
        for bits in (None, *STORED):
            stored = couplings if bits is None else quantised(couplings, bits)
            changed = eqx.tree_at(lambda c: c.couplings, computer, stored)
            samples, scores = sampled(experiment, changed, plan.samples)
            figures[str(bits)] = {
                "heat_kT": float(samples.heat_kT.mean()),
                "correlation": float(scores.best.mean()),
                "visible_hidden_rms": block_sizes(changed)["visible-hidden"]["rms"],
            }
        return figures

    identity = {"settings": asdict(settings), "bits": STORED, "samples": plan.samples}
    return Run(f"storage-{seed}", identity, work)


def _storage_runs(plan: Plan) -> list[Run]:
    return [_storage(plan, seed) for seed in seeds(plan.pairs)]


def _stored(plan: Plan, results: dict[str, Figures]) -> Finding:
    rows = rows_of(results, _storage_runs(plan))

    def changes(name: str) -> dict[str, Any]:
        heat = [100 * (row[name]["heat_kT"] / row["None"]["heat_kT"] - 1) for row in rows]
        correlation = [row[name]["correlation"] - row["None"]["correlation"] for row in rows]
        return {"heat_change_percent": interval(heat), "correlation_change": interval(correlation)}

    figures = {str(bits): changes(str(bits)) for bits in STORED}
    change = {bits: figures[str(bits)]["heat_change_percent"] for bits in STORED}

    def keeps(bits: int) -> bool:
        return abs(change[bits]["mean"]) < 10 and abs(figures[str(bits)]["correlation_change"]["mean"]) < 0.02

    return Finding(
        grade(keeps(4) and keeps(5) and not keeps(2), keeps(5) and not keeps(2)),
        f"heat changes by {say(change[4], 2)} % at 4 bits, {say(change[5], 2)} % at 5, "
        f"{say(change[2], 3)} % at 2",
        figures,
        "The full scale is the largest coupling of each block. Both couplings of a pair are equal. Rounding "
        "is to the nearest level. The unquantised computer has the same noise. Heat and quality are kept if "
        "heat changes by at most 10 % and correlation with the nearest prototype by at most 0.02.",
    )


# --- 11: trained in few bits ----------------------------------------------------------------------------


def _trained_in(plan: Plan, seed: int, bits: int | None, rounding: str = "nearest") -> Run:
    settings = online(plan, seed, cycles=plan.coarse_cycles)
    return drawing(plan, f"bits-{bits}-{rounding}", settings, TrainingNoise(bits=bits, rounding=rounding))


def _training_runs(plan: Plan) -> list[Run]:
    kinds = [(bits, rounding) for rounding, widths in WIDTHS.items() for bits in widths]
    return [run for kind in [(None,), *kinds] for run in repeated(plan, _trained_in, *kind)]


def _trained(plan: Plan, results: dict[str, Figures]) -> Finding:
    clean = rows_of(results, repeated(plan, _trained_in, None))

    def measured(bits: int, rounding: str) -> Figures:
        rows = rows_of(results, repeated(plan, _trained_in, bits, rounding))
        return {
            "heat_over_exact": ratio_over(rows, clean, "heat_kT"),
            "correlation": over(rows, "correlation"),
            "largest_visible_hidden": max(row["couplings"]["visible-hidden"]["largest"] for row in rows),
            "loss_above_exact": interval(
                [row["loss"] - free["loss"] for row, free in zip(rows, clean, strict=True)]
            ),
        }

    figures: dict[str, Any] = {"exact": {"correlation": over(clean, "correlation")}}
    for rounding, widths in WIDTHS.items():
        figures[rounding] = {str(bits): measured(bits, rounding) for bits in widths}
    nearest, stochastic = figures["nearest"], figures["stochastic"]
    stuck = all(nearest[bits]["largest_visible_hidden"] == 0 for bits in ("4", "6", "8"))
    works = abs(nearest["16"]["heat_over_exact"]["mean"] - 1) < 0.05
    moves = all(row["largest_visible_hidden"] > 0 for row in stochastic.values())
    partly = moves and stochastic["4"]["loss_above_exact"]["low"] > 0
    return Finding(
        grade(stuck and works and partly, works),
        f"nearest: J_vh = 0 at 4, 6, 8 bits: {'yes' if stuck else 'no'}; 16 bits: heat "
        f"{say(nearest['16']['heat_over_exact'], 3)} of exact storage; stochastic 8 bits: "
        f"{say(stochastic['8']['heat_over_exact'], 3)}, loss "
        f"{say(stochastic['8']['loss_above_exact'], 2)} above",
        figures,
        "The full scale is 0.25 E0, more than twice the largest trained coupling. An update of the online "
        "rule changes a coupling by about 3e-5 E0, but a level at 8 bits is 2e-3. Rounding to the nearest "
        "level loses the update. Stochastic rounding keeps it on average and adds noise.",
    )


# --- 12: errors of residuals and updates ----------------------------------------------------------------


def _errors(plan: Plan) -> dict[str, TrainingNoise]:
    """The training noise of each setting by name; update noise in the published units."""
    updates = (0.30, 0.35, 0.40) if plan.quick else (0.20, 0.30, 0.35, 0.40)
    slow = (0.9,) if plan.quick else (0.9, 0.99)
    fixed = (0.1,) if plan.quick else (0.03, 0.1)
    return {
        "none": TrainingNoise(),
        **{f"update {sigma:.2f}": TrainingNoise(update_noise=sigma / UNIT) for sigma in updates},
        **{f"residual {sigma:g}": TrainingNoise(residual_noise=sigma) for sigma in (1.0, 3.0)},
        **{f"AR(1) {rho:g}": TrainingNoise(residual_noise=1.0, correlation=rho) for rho in slow},
        **{f"offset {sigma:g}": TrainingNoise(offset=sigma) for sigma in fixed},
    }


def _disturbed(plan: Plan, seed: int, noise: TrainingNoise) -> Run:
    return drawing(plan, "errors", online(plan, seed, cycles=plan.cycles), noise)


def _noise(plan: Plan, results: dict[str, Figures]) -> Finding:
    clean = rows_of(results, repeated(plan, _disturbed, TrainingNoise()))

    def measured(noise: TrainingNoise) -> Figures:
        rows = rows_of(results, repeated(plan, _disturbed, noise))
        diverged = sum("diverged" in row for row in rows)
        if diverged:
            return {"diverged": diverged}
        sizes = [row["couplings"]["hidden-hidden"]["rms"] for row in rows]
        return {
            "heat_over_clean": None if noise == TrainingNoise() else ratio_over(rows, clean, "heat_kT"),
            "correlation": over(rows, "correlation"),
            "hidden_hidden_rms": float(np.mean(sizes)),
        }

    figures = {name: measured(noise) for name, noise in _errors(plan).items()}

    def heat(name: str) -> dict[str, float]:
        return figures[name].get("heat_over_clean") or {"mean": np.inf, "low": np.inf, "high": np.inf}

    before, after = heat("update 0.30"), heat("update 0.35")
    white, slow, offset = heat("residual 1"), heat("AR(1) 0.9"), heat("offset 0.1")
    crossover = before["high"] < after["low"] and before["mean"] < 1.05 < after["mean"]
    gradual = 1 < white["mean"] < heat("residual 3")["mean"] < 3
    worse = gradual and slow["low"] > white["high"] and offset["low"] > white["high"]
    return Finding(
        grade(crossover and worse, worse),
        f"heat over clean: update noise 0.30 {say(before, 3)}, 0.35 {say(after, 3)}; residual noise r_0 "
        f"{say(white, 3)}, the same as AR(1) 0.9 {say(slow, 3)}; offset of r_0/10 {say(offset, 3)}",
        figures,
        "Here update noise is white noise of standard deviation sigma on the gradient of every coupling, at "
        f"every step of {plan.cycles} cycles at dt = 1e-3. Residual noise and offsets are in units of "
        f"r_0 = {UNIT:.3g}, the thermal noise of a residual. Accumulated update noise is a random matrix. "
        "The heat rises steeply when its couplings, of about 0.06 E0, exceed the stiffness of the units. "
        "The crossover is therefore proportional to the inverse square root of the number of cycles. "
        f"Offsets and AR(1) errors accumulate over the steps of a trajectory, here of dt = {plan.dt:g}: more "
        "steps give larger errors.",
    )


CLAIMS = (
    Claim(10, "4- and 5-bit storage keeps heat and quality, 2 bits do not", "4, 5: kept; 2: lost", SOURCE,
          _storage_runs, _stored),
    Claim(11, "Training in 4, 6, 8 bits leaves J_vh at zero, 16 bits works, stochastic rounding partly helps",
          "J_vh = 0; works; partly", SOURCE, _training_runs, _trained),
    Claim(12, "Update noise: crossover; residual noise gradual; offsets and AR(1) far worse",
          "between 0.30 and 0.35", SOURCE,
          lambda plan: [run for noise in _errors(plan).values() for run in repeated(plan, _disturbed, noise)],
          _noise),
)  # fmt: skip

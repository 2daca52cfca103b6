"""Claims of Wang & Deng on imperfect hardware: couplings of few bits, and errors of what trains them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import equinox as eqx
import numpy as np

from thermogen.couplings import BlockCouplings, quantised
from thermogen.studies.claims.base import CONDITION, FAILS, HOLDS, Claim, Figures, Finding, Lab, Plan, Run
from thermogen.studies.claims.online import SOURCE
from thermogen.studies.claims.runs import block_sizes, drawing, online, sampled, say, seeds, trained
from thermogen.studies.measures import interval
from thermogen.training import TrainingNoise

STORED = (2, 3, 4, 5, 6, 8)
NEAREST, STOCHASTIC = (4, 6, 8, 16), (4, 6, 8)
UNIT = (1e-3 / (2 * 0.1)) ** 0.5
"""r_0 at the published dt = 1e-3, kT = 0.1: an error of a gradient, over this, is in units of r_0."""


# --- 10: couplings stored with few bits -------------------------------------------------------------------


def _storage(plan: Plan, seed: int) -> Run:
    settings = online(plan, seed)

    def work(lab: Lab) -> Figures:
        experiment, computer = trained(lab, settings)
        couplings = computer.couplings
        assert isinstance(couplings, BlockCouplings)
        found = {}
        for bits in (None, *STORED):
            stored = couplings if bits is None else quantised(couplings, bits)
            changed = eqx.tree_at(lambda c: c.couplings, computer, stored)
            samples, scores = sampled(experiment, changed, plan.samples)
            kept = block_sizes(changed)["visible-hidden"]["rms"]
            found[str(bits)] = {
                "heat_kT": float(samples.heat_kT.mean()),
                "correlation": float(scores.best.mean()),
                "visible_hidden_rms": kept,
            }
        return found

    own = {"settings": asdict(settings), "bits": STORED, "samples": plan.samples}
    return Run(f"storage-{seed}", own, work)


def _storage_runs(plan: Plan) -> list[Run]:
    return [_storage(plan, seed) for seed in seeds(plan.pairs)]


def _stored(plan: Plan, results: dict[str, Figures]) -> Finding:
    rows = [results[run.key] for run in _storage_runs(plan)]
    figures: dict[str, Any] = {}
    for bits in STORED:
        name = str(bits)
        figures[name] = {
            "heat_change_percent": interval(
                [100 * (row[name]["heat_kT"] / row["None"]["heat_kT"] - 1) for row in rows]
            ),
            "correlation_change": interval(
                [row[name]["correlation"] - row["None"]["correlation"] for row in rows]
            ),
        }

    def keeps(bits: int) -> bool:
        one = figures[str(bits)]
        return abs(one["heat_change_percent"]["mean"]) < 10 and abs(one["correlation_change"]["mean"]) < 0.02

    holds = keeps(4) and keeps(5) and not keeps(2)
    change = {bits: figures[str(bits)]["heat_change_percent"] for bits in STORED}
    return Finding(
        HOLDS if holds else CONDITION if keeps(5) and not keeps(2) else FAILS,
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
    runs = [_trained_in(plan, seed, None) for seed in seeds(plan.seeds)]
    for rounding, widths in (("nearest", NEAREST), ("stochastic", STOCHASTIC)):
        runs += [_trained_in(plan, seed, bits, rounding) for bits in widths for seed in seeds(plan.seeds)]
    return runs


def _trained(plan: Plan, results: dict[str, Figures]) -> Finding:
    def rows(bits: int | None, rounding: str = "nearest") -> list[Figures]:
        return [results[_trained_in(plan, seed, bits, rounding).key] for seed in seeds(plan.seeds)]

    def measured(found: list[Figures], clean: list[Figures]) -> Figures:
        return {
            "heat_over_exact": interval(
                [one["heat_kT"] / free["heat_kT"] for one, free in zip(found, clean, strict=True)]
            ),
            "correlation": interval([one["correlation"] for one in found]),
            "largest_visible_hidden": max(one["couplings"]["visible-hidden"]["largest"] for one in found),
            "loss_above_exact": interval(
                [one["loss"] - free["loss"] for one, free in zip(found, clean, strict=True)]
            ),
        }

    clean = rows(None)
    figures: dict[str, Any] = {"exact": {"correlation": interval([one["correlation"] for one in clean])}}
    for rounding, widths in (("nearest", NEAREST), ("stochastic", STOCHASTIC)):
        figures[rounding] = {str(bits): measured(rows(bits, rounding), clean) for bits in widths}
    stuck = all(figures["nearest"][str(bits)]["largest_visible_hidden"] == 0 for bits in (4, 6, 8))
    fine = figures["nearest"]["16"]
    works = abs(fine["heat_over_exact"]["mean"] - 1) < 0.05
    helped = {bits: figures["stochastic"][str(bits)] for bits in STOCHASTIC}
    moves = all(one["largest_visible_hidden"] > 0 for one in helped.values())
    partly = moves and helped[4]["loss_above_exact"]["low"] > 0
    exact_loss = helped[8]["loss_above_exact"]
    return Finding(
        HOLDS if stuck and works and partly else CONDITION if works else FAILS,
        f"nearest: J_vh = 0 at 4, 6, 8 bits: {'yes' if stuck else 'no'}; 16 bits: heat "
        f"{say(fine['heat_over_exact'], 3)} of exact storage; stochastic 8 bits: "
        f"{say(helped[8]['heat_over_exact'], 3)}, loss {say(exact_loss, 2)} above",
        figures,
        "The full scale is 0.25 E0, more than twice the largest trained coupling. An update of the online "
        "rule changes a coupling by about 3e-5 E0, but a level at 8 bits is 2e-3. Rounding to the nearest "
        "level loses the update. Stochastic rounding keeps it on average and adds noise.",
    )


# --- 12: errors of residuals and updates ----------------------------------------------------------------


def _errors(plan: Plan) -> dict[str, TrainingNoise]:
    """The errors tried, by name; update noise in the published units."""
    updates = (0.30, 0.35, 0.40) if plan.quick else (0.20, 0.30, 0.35, 0.40)
    white = (1.0, 3.0)
    slow = (0.9,) if plan.quick else (0.9, 0.99)
    fixed = (0.1,) if plan.quick else (0.03, 0.1)
    return {
        "none": TrainingNoise(),
        **{f"update {sigma:.2f}": TrainingNoise(update_noise=sigma / UNIT) for sigma in updates},
        **{f"residual {sigma:g}": TrainingNoise(residual_noise=sigma) for sigma in white},
        **{f"AR(1) {rho:g}": TrainingNoise(residual_noise=1.0, correlation=rho) for rho in slow},
        **{f"offset {sigma:g}": TrainingNoise(offset=sigma) for sigma in fixed},
    }


def _disturbed(plan: Plan, seed: int, noise: TrainingNoise) -> Run:
    return drawing(plan, "errors", online(plan, seed, cycles=plan.cycles), noise)


def _error_runs(plan: Plan) -> list[Run]:
    return [_disturbed(plan, seed, noise) for noise in _errors(plan).values() for seed in seeds(plan.seeds)]


def _noise(plan: Plan, results: dict[str, Figures]) -> Finding:
    rows = {
        name: [results[_disturbed(plan, seed, noise).key] for seed in seeds(plan.seeds)]
        for name, noise in _errors(plan).items()
    }
    clean = rows["none"]
    figures: dict[str, Any] = {}
    for name, found in rows.items():
        if any("diverged" in one for one in found):
            figures[name] = {"diverged": sum("diverged" in one for one in found)}
            continue
        figures[name] = {
            "heat_over_clean": interval(
                [one["heat_kT"] / free["heat_kT"] for one, free in zip(found, clean, strict=True)]
            )
            if name != "none"
            else None,
            "correlation": interval([one["correlation"] for one in found]),
            "hidden_hidden_rms": float(np.mean([one["couplings"]["hidden-hidden"]["rms"] for one in found])),
        }

    def heat(name: str) -> dict[str, float]:
        return figures[name].get("heat_over_clean") or {"mean": np.inf, "low": np.inf, "high": np.inf}

    before, after = heat("update 0.30"), heat("update 0.35")
    crossover = before["high"] < after["low"] and before["mean"] < 1.05 < after["mean"]
    gradual = 1 < heat("residual 1")["mean"] < heat("residual 3")["mean"] < 3
    worse = heat("AR(1) 0.9")["low"] > heat("residual 1")["high"]
    offset = heat("offset 0.1")["low"] > heat("residual 1")["high"]
    return Finding(
        HOLDS
        if crossover and gradual and worse and offset
        else CONDITION
        if gradual and worse and offset
        else FAILS,
        f"heat over clean: update noise 0.30 {say(before, 3)}, 0.35 {say(after, 3)}; residual noise r_0 "
        f"{say(heat('residual 1'), 3)}, the same as AR(1) 0.9 {say(heat('AR(1) 0.9'), 3)}; offset of r_0/10 "
        f"{say(heat('offset 0.1'), 3)}",
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
          "between 0.30 and 0.35", SOURCE, _error_runs, _noise),
)  # fmt: skip

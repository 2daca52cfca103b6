"""Claims of Wang & Deng on the online rule: less heat at a similar loss, on the same seeds."""

from __future__ import annotations

import numpy as np

from thermogen.studies.claims.base import Claim, Figures, Finding, Plan, Run, grade
from thermogen.studies.claims.runs import drawing, online, rows_of, say, seeds
from thermogen.studies.measures import interval

SOURCE = "Wang & Deng, arXiv:2609.15439 (2026)"
LOWER = 5.6


def _runs(plan: Plan) -> list[Run]:
    """Batch and online by turns, on the same noising noise and the same noise of generation."""
    return [
        drawing(plan, f"pair-{trainer}", online(plan, seed, trainer=trainer))
        for seed in seeds(plan.pairs)
        for trainer in ("batch", "online")
    ]


def _values(plan: Plan, results: dict[str, Figures], key: str) -> tuple[np.ndarray, np.ndarray]:
    values = np.array([row[key] for row in rows_of(results, _runs(plan))])
    return values[::2], values[1::2]


def _lower(plan: Plan, results: dict[str, Figures]) -> Finding:
    batch, after = _values(plan, results, "heat_kT")
    lower = interval(100 * (batch - after) / batch)
    count = int((after < batch).sum())
    everywhere = count == plan.pairs and lower["low"] > 0
    close = lower["low"] <= LOWER <= lower["high"]
    return Finding(
        grade(everywhere and close, everywhere),
        f"lower by {say(lower, 3)} %, in {count} of {plan.pairs} pairs; batch {say(interval(batch))} kT",
        {"lower_percent": lower, "lower_kT": interval(batch - after), "pairs_lower": count},
        "The pairs have the same seed: the same noising paths and the same noise of generation."
        + ("" if close else f" The published {LOWER} % lies outside the measured interval."),
    )


def _loss(plan: Plan, results: dict[str, Figures]) -> Finding:
    batch, after = _values(plan, results, "loss")
    difference = interval(after - batch)
    percent = 100 * max(abs(difference["low"]), abs(difference["high"])) / float(batch.mean())
    return Finding(
        grade(percent < 1),
        f"online minus batch {say(difference, 3)} of {batch.mean():.2f}: at most {percent:.2g} %",
        {"difference": difference, "batch": interval(batch), "online": interval(after)},
        "The difference is far below the noise floor of the loss, N / 2, but it is not zero. On the same "
        "noising paths the loss of the online rule is lower in every pair."
        if (after < batch).all()
        else "The difference is far below the noise floor of the loss, N / 2.",
    )


CLAIMS = (
    Claim(8, "Online rule: less heat than batch", "5.6 % lower, 5 of 5 pairs", SOURCE, _runs, _lower),
    Claim(9, "Online rule: similar validation loss", "similar", SOURCE, _runs, _loss),
)

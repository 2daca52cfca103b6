"""The numbers of a trained computer: heat, work, resemblance, path ratio, energy comparison."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
from jax.typing import ArrayLike

from thermogen.generation import Samples
from thermogen.ledger import compare
from thermogen.path import PathRatio
from thermogen.quality import prototype_scores

PUBLISHED = {
    "heat_kT": {"mean": 2.9e3, "std": 3.5e2, "n": 1000, "source": "Whitelam, PRL 136, 037101 (2026)"},
    "heat_kT_wang_deng": {"mean": 1.37e3, "source": "Wang & Deng, arXiv:2609.15439 (2026), batch rule"},
    "digital_kT": 5e14,
    "ratio": 1e11,
}
"""Figures of the papers that the main job lays beside its own."""


def summary(values: ArrayLike) -> dict[str, float | int | None]:
    """Mean, standard deviation, standard error of the mean (None for one value), and n."""
    numbers = np.asarray(values, float)
    n = len(numbers)
    std = float(numbers.std(ddof=1)) if n > 1 else None
    return {"mean": float(numbers.mean()), "std": std, "sem": None if std is None else std / n**0.5, "n": n}


def sample_measures(
    samples: Samples, prototypes: np.ndarray, labels: list[int], couplers: int
) -> dict[str, Any]:
    """What the samples say: heat and work in kT, energy parts, resemblance to the prototypes, energy table.

    prototypes: (P, pixels), labels: their classes, couplers: number of couplings of the computer.
    """
    scores = prototype_scores(samples.visible, prototypes)
    parts = ("on_site", "bias", "coupling")
    heat = summary(samples.heat_kT)
    comparison = compare(float(samples.heat_kT.mean()), couplers, samples.units.visible)
    return {
        "heat_kT": heat,
        "work_kT": summary(samples.work_kT),
        "energy_kT": {
            when: {part: summary(getattr(energies, part) / samples.kT) for part in parts}
            for when, energies in (("start", samples.start), ("end", samples.end))
        },
        "prototype_correlation": {
            **summary(scores.best),
            "above_0.5": float(np.mean(scores.best > 0.5)),
            "above_0.7": float(np.mean(scores.best > 0.7)),
            "inverted": float(np.mean(-scores.correlation.min(1) > scores.best)),
        },
        "prototype_counts": {
            str(label): int(scores.counts[[other == label for other in labels]].sum()) for label in labels
        },
        "energy": {"lines": [asdict(line) for line in comparison.lines], "ratios": comparison.ratios},
    }


def ratio_measures(ratio: PathRatio) -> dict[str, Any]:
    """The path-probability ratio and its parts, with the largest violation of the identity."""
    return {
        "total": summary(ratio.total),
        "heat_part": summary(ratio.heat_part),
        "force_part": summary(ratio.force_part),
        "identity_residual": float(np.abs(ratio.identity_residual).max()),
    }


def loss_measures(loss: np.ndarray, validation: np.ndarray, units: int, paths: int) -> dict[str, Any]:
    """The loss along training, and on `paths` fixed paths; N / 2 is what the noise alone costs."""
    return {
        "validation_paths": paths,
        "first": float(loss[0]) if len(loss) else None,
        "last": float(loss[-1]) if len(loss) else None,
        "noise_floor": units / 2,
        "per_cycle": [float(value) for value in loss],
        "validation": [
            {"cycle": int(cycle), "loss": float(value), "change_sem": float(error)}
            for cycle, value, error in validation
        ],
    }

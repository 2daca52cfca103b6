"""The numbers of a trained computer: heat, work, resemblance, path ratio, energy comparison."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from jax.typing import ArrayLike
from scipy.stats import t as student

from thermogen.computer import Computer
from thermogen.control import Control
from thermogen.errors import require
from thermogen.generation import Samples
from thermogen.ledger import load_parameters, make_ledger, workload_of
from thermogen.noising import Schedule
from thermogen.quality import prototype_scores
from thermogen.thermodynamics import entropy_production
from thermogen.thermodynamics.path import PathRatio

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)

PUBLISHED = {
    "heat_kT": {"mean": 2.9e3, "std": 3.5e2, "n": 1000, "source": "Whitelam, PRL 136, 037101 (2026)"},
    "heat_kT_wang_deng": {"mean": 1.37e3, "source": "Wang & Deng, arXiv:2609.15439 (2026), batch rule"},
    "digital_kT": 5e14,
    "ratio": 1e11,
}
"""Figures of the papers that the main job lays beside its own."""


def summary(values: ArrayLike | Sequence[Any]) -> dict[str, float | int | None]:
    """Mean, standard deviation, standard error of the mean (None for one value), and n."""
    numbers = np.asarray(values, float)
    n = len(numbers)
    std = float(numbers.std(ddof=1)) if n > 1 else None
    return {"mean": float(numbers.mean()), "std": std, "sem": None if std is None else std / n**0.5, "n": n}


def interval(values: ArrayLike | Sequence[Any], level: float = 0.95) -> dict[str, float | int]:
    """Mean of independent runs with its Student-t interval: mean, low, high, sem, n.

    Raises InputError for fewer than two values: one run says nothing about the next.
    """
    numbers = np.asarray(values, float)
    n = len(numbers)
    require(n >= 2, f"{n} run: an interval needs 2 independent ones or more")
    sem = float(numbers.std(ddof=1) / n**0.5)
    half = float(student.ppf((1 + level) / 2, n - 1)) * sem
    mean = float(numbers.mean())
    return {"mean": mean, "low": mean - half, "high": mean + half, "sem": sem, "n": n}


def distribution(values: ArrayLike | Sequence[Any]) -> dict[str, Any]:
    """`summary`, and what a mean hides: quantiles and skewness (None for under three values or no spread).

    skewness = <(x - mean)^3> / sd^3
    """
    numbers = np.asarray(values, float)
    quantiles = {f"{q:g}": float(np.quantile(numbers, q)) for q in QUANTILES}
    spread = numbers.std()
    skewed = (
        float(np.mean((numbers - numbers.mean()) ** 3) / spread**3) if spread and len(numbers) > 2 else None
    )
    return {**summary(numbers), "quantiles": quantiles, "skewness": skewed}


def entropy_measures(samples: Samples, idle: Computer) -> dict[str, Any]:
    """Entropy production of generation in units of k, `total_bound` from above; see `EntropyProduction`."""
    found = entropy_production(samples, idle)
    return {
        **found._asdict(),
        "change_bound": found.change_bound,
        "total_bound": found.total_bound,
        "n": len(samples),
    }


def sample_measures(
    samples: Samples, prototypes: np.ndarray, labels: list[int], control: Control, schedule: Schedule
) -> dict[str, Any]:
    """What the samples say: heat and work in kT, entropy, energy parts, resemblance, joules.

    prototypes: (P, pixels), labels: their classes; control, schedule: what generated the samples. Entropy is
    left out for fewer than 20 samples, which bound none.
    """
    scores = prototype_scores(samples.visible, prototypes)
    kinds = ("on_site", "bias", "coupling")
    ledger = make_ledger(workload_of(control, samples, schedule), load_parameters())
    idle = control.uncoupled()
    return {
        "heat_kT": distribution(samples.heat_kT),
        "work_kT": distribution(samples.work_kT),
        **({"entropy": entropy_measures(samples, idle)} if len(samples) >= 20 else {}),
        "energy_kT": {
            when: {part: summary(getattr(energies, part) / samples.kT) for part in kinds}
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
        "energy": asdict(ledger),
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

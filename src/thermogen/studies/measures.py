"""Measures of a trained computer: heat, work, correlation, path ratio, energy comparison."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from jax.typing import ArrayLike
from scipy.stats import t as student

from thermogen.computer import Computer
from thermogen.control import Control
from thermogen.data import Images
from thermogen.errors import require
from thermogen.generation import Samples
from thermogen.ledger import load_parameters, make_ledger, workload_of
from thermogen.noising import Schedule
from thermogen.quality import prototype_scores
from thermogen.storage.model import Model
from thermogen.thermodynamics import entropy_production
from thermogen.thermodynamics.path import PathRatio

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)

PUBLISHED = {
    "heat_kT": {"mean": 2.9e3, "std": 3.5e2, "n": 1000, "source": "Whitelam, PRL 136, 037101 (2026)"},
    "heat_kT_wang_deng": {"mean": 1.37e3, "source": "Wang & Deng, arXiv:2609.15439 (2026), batch rule"},
    "digital_kT": 5e14,
    "ratio": 1e11,
}
"""Figures of the papers, for the comparison in the main job."""


def summary(values: ArrayLike | Sequence[Any]) -> dict[str, float | int | None]:
    """Mean, standard deviation, standard error of the mean (None for one value), and n."""
    numbers = np.asarray(values, float)
    n = len(numbers)
    std = float(numbers.std(ddof=1)) if n > 1 else None
    return {"mean": float(numbers.mean()), "std": std, "sem": None if std is None else std / n**0.5, "n": n}


def interval(values: ArrayLike | Sequence[Any], level: float = 0.95) -> dict[str, float | int]:
    """Mean of independent runs with its Student-t interval: mean, low, high, sem, n.

    Raises InputError for fewer than two values.
    """
    numbers = np.asarray(values, float)
    n = len(numbers)
    require(n >= 2, f"{n} run: an interval needs 2 independent ones or more")
    mean, sem = float(numbers.mean()), float(numbers.std(ddof=1) / n**0.5)
    half = float(student.ppf((1 + level) / 2, n - 1)) * sem
    return {"mean": mean, "low": mean - half, "high": mean + half, "sem": sem, "n": n}


def distribution(values: ArrayLike | Sequence[Any]) -> dict[str, Any]:
    """`summary`, quantiles, and the skewness (None for under three values or no spread).

    skewness = <(x - mean)^3> / sd^3
    """
    numbers = np.asarray(values, float)
    quantiles = {f"{q:g}": float(np.quantile(numbers, q)) for q in QUANTILES}
    spread, skewness = numbers.std(), None
    if spread and len(numbers) > 2:
        skewness = float(np.mean((numbers - numbers.mean()) ** 3) / spread**3)
    return {**summary(numbers), "quantiles": quantiles, "skewness": skewness}


def check_shape(model: Model, images: Images) -> None:
    """InputError for images that have not the size of the images of the model."""
    own, given = (" x ".join(map(str, shape)) for shape in (model.image_shape, images.shape))
    require(own == given, f"images of {given} for a model of {own}: give images of its size")


def mean_by_class(values: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Mean of the values of every class."""
    return {str(label): float(values[labels == label].mean()) for label in np.unique(labels)}


def entropy_measures(samples: Samples, idle: Computer) -> dict[str, Any]:
    """Entropy production of generation in units of k, `total_bound` from above; see `EntropyProduction`."""
    entropy = entropy_production(samples, idle)
    bounds = {"change_bound": entropy.change_bound, "total_bound": entropy.total_bound}
    return {**entropy._asdict(), **bounds, "n": len(samples)}


def sample_measures(
    samples: Samples, prototypes: np.ndarray, labels: list[int], control: Control, schedule: Schedule
) -> dict[str, Any]:
    """Measures of samples: heat and work in kT, entropy, contributions to the energy, correlation, joules.

    prototypes: (P, pixels), labels: their classes; control, schedule: of the generation. Fewer than 20
    samples have no entropy, since they do not bound it.
    """
    scores = prototype_scores(samples.visible, prototypes)
    ledger = make_ledger(workload_of(control, samples, schedule), load_parameters())
    entropy = {"entropy": entropy_measures(samples, control.uncoupled())} if len(samples) >= 20 else {}
    return {
        "heat_kT": distribution(samples.heat_kT),
        "work_kT": distribution(samples.work_kT),
        **entropy,
        "energy_kT": {
            when: {
                name: summary(getattr(getattr(samples, when), name) / samples.kT)
                for name in ("on_site", "bias", "coupling")
            }
            for when in ("start", "end")
        },
        "prototype_correlation": {
            **summary(scores.best),
            "above_0.5": float(np.mean(scores.best > 0.5)),
            "above_0.7": float(np.mean(scores.best > 0.7)),
            "inverted": float(np.mean(-scores.correlation.min(1) > scores.best)),
        },
        "prototype_counts": {
            str(label): int(scores.counts[np.asarray(labels) == label].sum()) for label in labels
        },
        "energy": asdict(ledger),
    }


def ratio_measures(ratio: PathRatio) -> dict[str, Any]:
    """The path ratio, its heat part and force part, and the largest violation of the identity."""
    figures = {name: summary(getattr(ratio, name)) for name in ("total", "heat_part", "force_part")}
    return {**figures, "identity_residual": float(np.abs(ratio.identity_residual).max())}


def loss_measures(loss: np.ndarray, validation: np.ndarray, units: int, paths: int) -> dict[str, Any]:
    """The loss along training, and on `paths` fixed paths; N / 2 is the loss of the noise alone."""
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

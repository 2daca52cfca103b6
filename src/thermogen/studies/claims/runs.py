"""Runs that several claims share: a training, and the samples of the trained computer."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, replace
from typing import Any

import jax.numpy as jnp
import numpy as np

from thermogen.computer import Computer
from thermogen.couplings import BlockCouplings
from thermogen.errors import InputError
from thermogen.generation import Samples, generate
from thermogen.quality import PrototypeScores, prototype_scores
from thermogen.seeds import stream
from thermogen.storage.cache import ResultCache
from thermogen.storage.model import versions
from thermogen.studies.claims.base import Figures, Plan, Run
from thermogen.studies.experiment import Experiment, prepare
from thermogen.studies.measures import interval
from thermogen.studies.settings import Settings
from thermogen.training import TrainingNoise, path_loss, train

FIRST_SEED = 101
"""Seeds are counted from here, as in Wang & Deng."""


def seeds(count: int) -> range:
    """Independent seeds."""
    return range(FIRST_SEED, FIRST_SEED + count)


def repeated(plan: Plan, make: Callable[..., Run], *given: Any) -> list[Run]:
    """The run `make(plan, seed, *given)` for every seed of the plan."""
    return [make(plan, seed, *given) for seed in seeds(plan.seeds)]


def rows_of(results: dict[str, Figures], runs: Iterable[Run]) -> list[Figures]:
    """The figures of these runs, in their order."""
    return [results[run.key] for run in runs]


def over(rows: Iterable[Figures], key: str, factor: float = 1) -> dict[str, float | int]:
    """Mean of a figure (times a factor) over independent runs, with its Student-t interval at 95 %."""
    return interval([factor * row[key] for row in rows])


def ratio_over(rows: Iterable[Figures], clean: Iterable[Figures], key: str) -> dict[str, float | int]:
    """The same of the ratio of a figure to that of the run without errors on the same seed."""
    return interval([row[key] / free[key] for row, free in zip(rows, clean, strict=True)])


def published(plan: Plan, seed: int, **changed: Any) -> Settings:
    """The setting of PRL 136, 037101: batch rule, tiled imprint."""
    return Settings.of("batch", **{"cycles": plan.cycles, "dt": plan.dt, "seed": seed, **changed})


def online(plan: Plan, seed: int, **changed: Any) -> Settings:
    """The setting of arXiv:2609.15439: projected imprint, here with the online rule unless changed."""
    given = {"trainer": "online", "imprint": "projection", "cycles": plan.long_cycles, "dt": plan.dt}
    return Settings(**{**given, "seed": seed, **changed})


def exact(plan: Plan, seed: int) -> Settings:
    """Exact training with its own defaults: a code for the label on the hidden units."""
    return Settings.of("exact", dt=plan.dt, seed=seed)


def trained(
    cache: ResultCache, settings: Settings, noise: TrainingNoise | None = None
) -> tuple[Experiment, Computer]:
    """A computer trained with these settings, kept in the cache."""
    experiment, noise = prepare(settings), noise or TrainingNoise()
    identity = {
        "settings": asdict(settings),
        "noise": asdict(noise),
        "thermogen": versions()["thermogen"],
    }
    model = cache.model(identity)
    if model is not None:
        assert isinstance(model.computer, Computer)
        return experiment, model.computer
    if settings.trainer == "exact":
        result = experiment.train()
    else:
        result = train(
            stream(settings.seed, "training"),
            experiment.computer,
            experiment.fields,
            experiment.schedule,
            replace(experiment.rule, noise=noise),
            cycles=settings.cycles,
            validate_every=max(1, settings.cycles),
        )
    cache.keep_model(identity, experiment.model(result))
    assert isinstance(result.computer, Computer)
    return experiment, result.computer


def sampled(experiment: Experiment, computer: Computer, count: int) -> tuple[Samples, PrototypeScores]:
    """Samples with the run's own noise, and their correlations with the prototypes."""
    samples = generate(
        stream(experiment.settings.seed, "generation"), computer, count, experiment.schedule, film_frames=1
    )
    return samples, prototype_scores(samples.visible, experiment.images.standardised())


def drawing(plan: Plan, name: str, settings: Settings, noise: TrainingNoise | None = None) -> Run:
    """Train and generate `plan.samples`: heat in kT, correlation, loss, size of couplings.

    For a training or generation that diverges, the figures are `diverged`, the message.
    """

    def work(cache: ResultCache) -> Figures:
        try:
            experiment, computer = trained(cache, settings, noise)
            samples, scores = sampled(experiment, computer, plan.samples)
        except InputError as error:
            return {"diverged": str(error)}
        return {
            "heat_kT": float(samples.heat_kT.mean()),
            "heat_sd": float(samples.heat_kT.std(ddof=1)),
            "correlation": float(scores.best.mean()),
            "counts": scores.counts.tolist(),
            "couplings": block_sizes(computer),
            "loss": loss_of(experiment, computer),
        }

    noises = asdict(noise or TrainingNoise())
    identity = {"settings": asdict(settings), "noise": noises, "samples": plan.samples}
    return Run(f"{name}-{settings.seed}", identity, work)


def loss_of(experiment: Experiment, computer: Computer) -> float:
    """Mean reverse-path loss on noising paths outside training; equal seeds give equal paths."""
    key = stream(experiment.settings.seed, "path ratio")
    values = path_loss(key, computer, experiment.fields, experiment.schedule, jnp.arange(12))
    return float(np.asarray(values, float).mean())


def block_sizes(computer: Computer) -> dict[str, dict[str, float]]:
    """Largest and root mean square coupling of every block, in E0."""
    couplings = computer.couplings
    assert isinstance(couplings, BlockCouplings)
    return {
        link: {"largest": float(jnp.abs(block).max()), "rms": float(jnp.sqrt(jnp.mean(block**2)))}
        for link, block in couplings.blocks.items()
    }


def say(figure: dict[str, Any], digits: int = 4, unit: str = "") -> str:
    """'1277 [1233, 1321] kT'."""
    text = f"{figure['mean']:.{digits}g} [{figure['low']:.{digits}g}, {figure['high']:.{digits}g}]"
    return f"{text} {unit}".rstrip()

"""Exact training of three digits: seconds, heat, correlation, rank, and its loss against descent."""

import jax
import jax.numpy as jnp
import numpy as np
from scipy.stats import chisquare

from benchmarks.common import best_of, keep
from thermogen.couplings import compress
from thermogen.generation import generate
from thermogen.quality import prototype_scores
from thermogen.seeds import stream
from thermogen.studies.experiment import prepare
from thermogen.studies.measures import interval, summary
from thermogen.studies.settings import Settings
from thermogen.training import path_loss, solve, statistics

IMPRINTS = ("tile", "projection", "code")


def figures(settings: Settings, count: int = 300) -> dict:
    """Train with `settings`, generate `count` samples and measure their quality."""
    experiment = prepare(settings)
    result = experiment.train()
    samples = generate(stream(settings.seed, "generation"), result.computer, count, experiment.schedule)
    scores = prototype_scores(samples.visible, experiment.images.standardised())
    return {
        "heat_kT": summary(samples.heat_kT),
        "correlation": summary(scores.best),
        "above_0.7": float(np.mean(scores.best > 0.7)),
        "inverted": float(np.mean(-scores.correlation.min(1) > scores.best)),
        "counts": scores.counts.tolist(),
        "balance_p": float(chisquare(scores.counts).pvalue),
    }


def said(name: str, f: dict) -> None:
    """One line of figures."""
    q, r = f["heat_kT"], f["correlation"]
    print(
        f"{name}: Q {q['mean']:.0f} +- {q['sem']:.0f}, correlation {r['mean']:.3f} +- {r['sem']:.3f}, above "
        f"0.7 {100 * f['above_0.7']:.1f} %, inverted {100 * f['inverted']:.1f} %, counts {f['counts']}, "
        f"p {f['balance_p']:.2f}",
        flush=True,
    )


def held_out(experiment, computers: list, paths: int) -> list[np.ndarray]:
    """Loss of computers on the same noising paths, which no training used."""
    return [
        np.concatenate(
            [
                np.asarray(
                    path_loss(
                        jax.random.key(7),
                        each,
                        experiment.fields,
                        experiment.schedule,
                        first + jnp.arange(20),
                    ),
                    float,
                )
                for first in range(0, paths, 20)
            ]
        )
        for each in computers
    ]


def main(count: int = 300, paths: int = 200, seeds: int = 5) -> None:
    """Measure and print."""
    found = {}
    for imprint in IMPRINTS:
        settings = Settings.of("exact", imprint=imprint)
        experiment = prepare(settings)
        options = {"visible_biases": settings.train_visible_biases}

        def train(experiment=experiment, options=options):
            known = statistics(experiment.computer, experiment.fields, experiment.schedule)[0]
            return known, solve(experiment.computer, known, **options)

        known, result = train()  # compiles
        seconds = best_of(train, 5)
        row = figures(settings, count)
        row |= {"seconds": seconds, "iterations": result.iterations, "residual": result.residual}
        row["ranks"] = {}
        for tolerance in (1e-2, 1e-3, 1e-4):
            packed = compress(result.computer.couplings, known.second_moment(), tolerance)
            row["ranks"][str(tolerance)] = {**packed.ranks, "couplers": packed.couplers}
        found[imprint] = row
        said(imprint, row)
        print(f"    {seconds} s, {result.iterations} iterations, ranks {row['ranks']}", flush=True)
    many = [figures(Settings.of("exact", seed=seed), count) for seed in range(1, 1 + seeds)]
    found["code, seeds"] = {
        name: interval([row[name]["mean"] if isinstance(row[name], dict) else row[name] for row in many])
        for name in ("heat_kT", "correlation", "above_0.7", "inverted", "balance_p")
    }
    print(f"code, {seeds} seeds: {found['code, seeds']}", flush=True)
    # Against descent, in the published setting: the same loss, and paths that neither has seen.
    experiment = prepare(Settings())
    known = statistics(experiment.computer, experiment.fields, experiment.schedule)[0]
    exact = solve(experiment.computer, known).computer
    for cycles in (100, 1000):
        descended = prepare(Settings(cycles=cycles)).train().computer
        losses = held_out(experiment, [exact, *descended.computers()], paths)
        found[f"loss minus {cycles} cycles"] = interval(losses[0] - losses[1])
        print(f"loss minus {cycles} cycles: {found[f'loss minus {cycles} cycles']}", flush=True)
    keep("exact_training", {"samples": count, "paths": paths, **found})


if __name__ == "__main__":
    main()

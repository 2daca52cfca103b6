"""Exact training: seconds, heat, structure, rank; its loss against 100 cycles of descent."""

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.common import keep
from thermogen.experiment import Settings, prepare
from thermogen.generation import generate
from thermogen.measure import summary
from thermogen.quality import prototype_scores
from thermogen.training import path_loss, solve, statistics


def main(count: int = 300, paths: int = 60) -> None:
    """Measure and print."""
    figures = {}
    for imprint, biases in (("tile", False), ("projection", False), ("code", True)):
        settings = Settings(imprint=imprint, train_visible_biases=biases)
        experiment = prepare(settings)
        known = statistics(experiment.computer, experiment.fields, experiment.schedule)
        options = {"visible_biases": biases, "tolerance": 1e-6}
        solve(experiment.computer, known, experiment.schedule, **options)  # compiles
        result = solve(experiment.computer, known, experiment.schedule, **options)
        samples = generate(settings.stream("generation"), result.computer, count, experiment.schedule)
        scores = prototype_scores(samples.visible, experiment.images.standardised())
        descended = experiment.train().computer
        losses = [
            np.asarray(
                path_loss(
                    jax.random.key(7), each, experiment.fields, experiment.schedule, first + jnp.arange(20)
                ),
                float,
            )
            for each in (result.computer, descended)
            for first in range(0, paths, 20)
        ]
        exact, descent = np.concatenate(losses[: paths // 20]), np.concatenate(losses[paths // 20 :])
        block = np.asarray(result.computer.couplings.matrix())[: experiment.computer.units.visible]
        size = np.linalg.svd(block[:, experiment.computer.units.visible :], compute_uv=False) ** 2
        rank = int((np.cumsum(size) < 0.99999 * size.sum()).sum()) + 1
        figures[imprint] = {
            "solve_seconds": result.seconds,
            "iterations": result.iterations,
            "residual": result.residual,
            "rank_visible_hidden": rank,
            "heat_kT": summary(samples.heat_kT),
            "correlation": summary(scores.best),
            "counts": scores.counts.tolist(),
            "loss_minus_100_cycles": summary(exact - descent),
        }
        f = figures[imprint]
        print(
            f"{imprint}: {result.seconds:.1f} s, {result.iterations} iterations, rank {rank}, "
            f"Q {f['heat_kT']['mean']:.0f} +- {f['heat_kT']['sem']:.0f} (sd {f['heat_kT']['std']:.0f}), "
            f"correlation {f['correlation']['mean']:.3f}, counts {f['counts']}, loss minus descent "
            f"{f['loss_minus_100_cycles']['mean']:.4f} +- {f['loss_minus_100_cycles']['sem']:.4f}",
            flush=True,
        )
    keep("exact_training", {"samples": count, "paths": paths, **figures})


if __name__ == "__main__":
    main()

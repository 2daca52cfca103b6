"""Time per step of full and low-rank couplings, its parts, and the heat of both."""

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.common import keep, medians
from thermogen.couplings import compress
from thermogen.generation import generate
from thermogen.langevin import sample_keys, sample_uncoupled, simulate, standard_normal
from thermogen.seeds import stream
from thermogen.studies.experiment import prepare
from thermogen.studies.measures import summary
from thermogen.studies.settings import Settings
from thermogen.training import solve, statistics

STEPS = 50


def main(batch: int = 1000, count: int = 300, tolerance: float = 1e-4) -> None:
    """Measure and print."""
    found = {}
    for imprint in ("code", "tile"):
        settings = Settings.of("exact", imprint=imprint)
        experiment = prepare(settings)
        known = statistics(experiment.computer, experiment.fields, experiment.schedule)[0]
        full = solve(experiment.computer, known, visible_biases=settings.train_visible_biases).computer
        packed = compress(full.couplings, known.second_moment(), tolerance)
        thin = full.__class__(full.J2, full.J4, full.bias, packed.couplings, full.mobility, full.kT)
        key, numbers = jax.random.key(0), jnp.arange(batch)
        x = sample_uncoupled(key, full.uncoupled(), numbers)
        keys = sample_keys(key, numbers)

        def steps(computer, x=x, key=key):
            return lambda: simulate(key, computer, x, steps=STEPS, dt=1e-3).final

        @jax.jit
        def noise(keys, x):
            def step(total, k):
                return total + standard_normal(keys, k, x.shape[1], x.dtype), None

            return jax.lax.scan(step, x, jnp.arange(STEPS))[0]

        seconds = medians(
            {
                "full": steps(full),
                "low rank": steps(thin),
                "no couplings": steps(full.uncoupled()),
                "noise alone": lambda keys=keys, x=x, noise=noise: noise(keys, x),
            },
            11,
        )
        found[imprint] = {
            "ranks": packed.ranks,
            "couplers": packed.couplers,
            "couplers_full": packed.couplers_full,
            "force_error": packed.force_error,
            "milliseconds_per_step": {name: 1e3 * value / STEPS for name, value in seconds.items()},
            "speed_up": seconds["full"] / seconds["low rank"],
        }
        draws = [
            generate(stream(settings.seed, "generation"), each, count, experiment.schedule)
            for each in (full, thin)
        ]
        found[imprint]["heat_kT"] = [summary(one.heat_kT) for one in draws]
        found[imprint]["heat_difference_kT"] = summary(draws[1].heat_kT - draws[0].heat_kT)
        found[imprint]["largest_difference_of_images"] = float(
            np.abs(draws[1].visible - draws[0].visible).max()
        )
        print(f"{imprint}: {found[imprint]}", flush=True)
    keep("low_rank", {"batch": batch, "samples": count, "tolerance": tolerance, **found})


if __name__ == "__main__":
    main()

"""Time of a training cycle, of a sample, and of a second batch, without compilation. Peak memory."""

import resource
import time
from dataclasses import replace

import jax
import jax.numpy as jnp

from benchmarks.common import keep
from thermogen.generation import generate, suitable_dt
from thermogen.langevin import named_integrator
from thermogen.quality import prototype_scores
from thermogen.storage.run_folder import compile_seconds
from thermogen.studies.experiment import prepare
from thermogen.studies.measures import summary
from thermogen.studies.settings import Settings
from thermogen.studies.speed.jobs import PUBLISHED
from thermogen.training.sampled.rules import run_cycle, start_optimizer


def timed(work) -> tuple[float, float]:
    """Wall seconds without compilation, and compile seconds."""
    compiled, begun = compile_seconds(), time.perf_counter()
    work()
    compiling = compile_seconds() - compiled
    return time.perf_counter() - begun - compiling, compiling


def main(cycles: int = 20, count: int = 1000) -> None:
    """Measure and print."""
    figures = {}
    for trainer in ("batch", "online", "delayed"):
        experiment = prepare(Settings(trainer=trainer))
        state = start_optimizer(experiment.rule, experiment.computer, experiment.schedule)
        key = jax.random.key(0)

        def cycle(number, experiment=experiment, state=state, key=key):
            result = run_cycle(
                key,
                experiment.computer,
                state,
                experiment.fields,
                experiment.schedule,
                experiment.rule,
                jnp.asarray(number),
            )
            return jax.block_until_ready(result.loss)

        _, compiling = timed(lambda cycle=cycle: cycle(0))
        seconds, again = timed(lambda cycle=cycle: [cycle(i) for i in range(cycles)])
        figures[trainer] = {
            "seconds_per_cycle": seconds / cycles,
            "compile": compiling,
            "compile_again": again,
        }
        ratio = PUBLISHED["cycle"] / (seconds / cycles)
        print(
            f"{trainer}: {seconds / cycles:.3f} s a cycle ({ratio:.0f} x), compile {compiling:.1f} s",
            flush=True,
        )
    experiment = prepare(Settings())
    control, schedule = experiment.train().computer, experiment.schedule
    prototypes, key = experiment.images.standardised(), jax.random.key(2)
    heun = named_integrator("heun")
    ways = {
        "as published": (named_integrator("euler"), schedule),
        "chosen step": (heun, replace(schedule, dt=suitable_dt(key, control, schedule, heun))),
    }
    ways["chosen step, bfloat16"] = (named_integrator("heun", products="bfloat16"), ways["chosen step"][1])
    figures["generate"] = {}
    for name, (method, times) in ways.items():

        def draw(n=count, method=method, times=times):
            return generate(key, control, n, times, integrator=method, film_frames=1)

        _, compiling = timed(lambda draw=draw: draw(250))
        seconds, again = timed(draw)
        samples = draw()
        figures["generate"][name] = {
            "steps": times.steps,
            "seconds_per_sample": seconds / count,
            "samples": count,
            "published_over_this": PUBLISHED["sample"] * count / seconds,
            "compile": compiling,
            "compile_of_second_call": again,
            "heat_kT": summary(samples.heat_kT),
            "correlation": summary(prototype_scores(samples.visible, prototypes).best),
        }
        print(f"generate, {name}: {figures['generate'][name]}", flush=True)
    figures["peak_megabytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    keep("speed", {**figures, "published": PUBLISHED})


if __name__ == "__main__":
    main()

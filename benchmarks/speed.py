"""Time of a training cycle, of a sample, and of a second batch; compilation apart. Peak memory."""

import resource
import time

import jax
import jax.numpy as jnp

from benchmarks.common import keep
from thermogen.experiment import Settings, prepare
from thermogen.generation import generate
from thermogen.runfolder import compile_seconds
from thermogen.training.rules import run_cycle, start_optimizer

PUBLISHED = {"cycle": 15.4, "sample": 5.6}
"""Seconds of the published program's loops, retyped and timed on one core of a like machine."""


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
    result = experiment.train()
    _, compiling = timed(lambda: generate(jax.random.key(1), result.computer, 250))
    seconds, again = timed(lambda: generate(jax.random.key(2), result.computer, count))
    figures["generate"] = {
        "seconds_per_sample": seconds / count,
        "samples": count,
        "compile": compiling,
        "compile_of_second_call": again,
        "peak_megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    for name, value in figures["generate"].items():
        print(f"generate {name}: {value:.4g}", flush=True)
    print(f"published program / this: {PUBLISHED['sample'] * count / seconds:.0f} x per sample")
    keep("speed", {**figures, "published": PUBLISHED})


if __name__ == "__main__":
    main()

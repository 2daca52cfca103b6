"""Exact training of many images: seconds, memory, and cost per image."""

import resource
import time

import numpy as np

from benchmarks.common import keep
from thermogen.errors import require
from thermogen.studies.experiment import prepare
from thermogen.studies.settings import Settings
from thermogen.training import solve, statistics

MNIST = "../shared/data/mnist.npz"


def main(images: str = MNIST) -> None:
    """Measure and print."""
    with np.load(images) as arrays:
        require("train_images" in arrays.files, f"{images} is not MNIST: give its .npz file")
    found = {}
    for imprint in ("code", "tile"):
        settings = Settings.of("exact", images=images, digits=(), imprint=imprint)
        experiment = prepare(settings)
        fields = np.asarray(experiment.fields)
        rows = []
        for count in (600, 15_000, 30_000, 60_000):  # the first one compiles
            begun = time.perf_counter()
            known = statistics(experiment.computer, fields[:count], experiment.schedule)[0]
            rows.append({"images": count, "statistics": time.perf_counter() - begun})
        begun = time.perf_counter()
        result = solve(experiment.computer, known, visible_biases=settings.train_visible_biases)
        found[imprint] = {
            "rows": rows,
            "solve": time.perf_counter() - begun,
            "iterations": result.iterations,
            "residual": result.residual,
            "peak_megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        }
        print(f"{imprint}: {found[imprint]}", flush=True)
    keep("exact_mnist", found)


if __name__ == "__main__":
    main()

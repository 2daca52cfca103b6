"""Heat and correlation of the published setting, batch rule, for each imprint: five seeds of 200 samples."""

from benchmarks.common import keep, trained_and_sampled
from thermogen.studies.measures import interval
from thermogen.studies.settings import Settings

REFERENCE = {
    "tile": {"heat_kT": 1204, "correlation": 0.39},
    "projection": {"heat_kT": 1314, "correlation": 0.35},
}
"""Figures of one earlier trial, 100 samples each."""


def main(seeds: int = 5, count: int = 200) -> None:
    """Measure and print."""
    figures = {}
    for imprint, biases in (("tile", False), ("projection", False), ("groups", True)):
        rows = [
            trained_and_sampled(Settings(imprint=imprint, train_visible_biases=biases, seed=seed), count)[2]
            for seed in range(101, 101 + seeds)
        ]
        figures[imprint] = {
            "heat_kT": interval([row["heat_kT"] for row in rows]),
            "heat_sd": interval([row["heat_sd"] for row in rows]),
            "correlation": interval([row["correlation"] for row in rows]),
            "reference": REFERENCE.get(imprint),
            "rows": rows,
        }
        for name in ("heat_kT", "heat_sd", "correlation"):
            f = figures[imprint][name]
            print(
                f"{imprint:12} {name:12} {f['mean']:9.3f}  95 % [{f['low']:.3f}, {f['high']:.3f}]", flush=True
            )
    keep("physics_table", {"samples_per_seed": count, **figures})


if __name__ == "__main__":
    main()

"""Heat of the online rule against the batch rule on the same seeds (Wang & Deng: 5.6 % lower, 300 cycles).

Five seed pairs 101-105. A pair shares its noising trajectories and the noise of its generated samples, which
reduces the error of the difference. Projection imprint, as theirs.
"""

import numpy as np

from benchmarks.common import keep, trained_and_sampled
from thermogen.studies.measures import interval
from thermogen.studies.settings import Settings


def main(seeds: int = 5, count: int = 250, cycles: int = 300, imprint: str = "projection") -> None:
    """Measure and print."""
    rows = {"batch": [], "online": []}
    for seed in range(101, 101 + seeds):
        for trainer in rows:
            settings = Settings(trainer=trainer, imprint=imprint, cycles=cycles, seed=seed)
            rows[trainer].append(trained_and_sampled(settings, count)[2])
        pair = {name: runs[-1] for name, runs in rows.items()}
        print(
            seed,
            *(f"{n} {r['heat_kT']:.1f} kT {r['train_seconds']:.0f} s" for n, r in pair.items()),
            flush=True,
        )
    batch, online = (np.array([row["heat_kT"] for row in runs]) for runs in rows.values())
    loss = [np.array([row["validation_loss"][1] for row in runs]) for runs in rows.values()]
    figures = {
        "batch_kT": interval(batch),
        "online_kT": interval(online),
        "lower_by_kT": interval(batch - online),
        "lower_by_percent": interval(100 * (batch - online) / batch),
        "validation_loss_online_minus_batch": interval(loss[1] - loss[0]),
        "pairs_online_below": int((online < batch).sum()),
        "published": {"lower_by_percent": 5.6, "lower_by_kT": 76.8, "interval_kT": [66.4, 87.1]},
    }
    for name, f in figures.items():
        if isinstance(f, dict) and "low" in f:
            print(f"{name:36} {f['mean']:9.4f}  95 % [{f['low']:.4f}, {f['high']:.4f}]", flush=True)
    keep(
        "online_against_batch",
        {"cycles": cycles, "samples": count, "imprint": imprint, **figures, "rows": rows},
    )


if __name__ == "__main__":
    main()

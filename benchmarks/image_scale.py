"""Heat of generation against the scale of the images, compared with the published 2.9e3 kT."""

from benchmarks.common import keep, trained_and_sampled
from thermogen.studies.measures import interval
from thermogen.studies.settings import Settings


def main(seeds: int = 3, count: int = 100) -> None:
    """Measure and print: amplitude 2 is unit variance with A = 2."""
    figures = {}
    for amplitude in (1.0, 2.0, 3.0, 3.4, 4.0):
        rows = [
            trained_and_sampled(Settings(amplitude=amplitude, seed=seed), count)[2]
            for seed in range(101, 101 + seeds)
        ]
        heat = interval([row["heat_kT"] for row in rows])
        sd = interval([row["heat_sd"] for row in rows])
        figures[str(amplitude)] = {"heat_kT": heat, "heat_sd": sd, "rows": rows}
        print(
            f"A = {amplitude}: Q = {heat['mean']:.0f} kT, 95 % [{heat['low']:.0f}, {heat['high']:.0f}], "
            f"sd {sd['mean']:.0f}, correlation {interval([r['correlation'] for r in rows])['mean']:.2f}",
            flush=True,
        )
    keep("image_scale", {"samples_per_seed": count, "amplitudes": figures})


if __name__ == "__main__":
    main()

"""Contribution of each default of the exact trainer, and results for other digits."""

from dataclasses import replace
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.common import keep
from benchmarks.exact_training import figures, said
from thermogen.data import load_digits
from thermogen.studies.settings import Settings

TRIPLES = ((3, 5, 8), (4, 7, 9), (2, 6, 9), (1, 4, 7), (0, 5, 6))


def main(count: int = 300) -> None:
    """Measure and print."""
    default = Settings.of("exact")
    choices = {
        "the default": default,
        "read at t_f, no window": replace(default, readout=0.0),
        "ramp 0.75, as published": replace(default, ramp_fraction=0.75),
        "amplitude 2, as published": replace(default, amplitude=2.0),
        "A' = 4": replace(default, hidden_amplitude=4.0),
        "A' = 6": replace(default, hidden_amplitude=6.0),
        "A' = 8": replace(default, hidden_amplitude=8.0),
        "groups instead of sign patterns": replace(default, imprint="groups"),
        "hidden biases only": replace(default, train_visible_biases=False),
        "five segments": replace(default, segments=5),
        "dt = 1e-2": replace(default, dt=1e-2),
        "groups, A' = 6, amplitude 2, ramp 0.75, no window": replace(
            default, imprint="groups", hidden_amplitude=6.0, amplitude=2.0, ramp_fraction=0.75, readout=0.0
        ),
    }
    found = {name: figures(settings, count) for name, settings in choices.items()}
    for triple in TRIPLES:
        found[f"digits {triple}"] = figures(replace(default, digits=triple), count)
    every = load_digits()
    for number in (1, 2, 3):
        places = [np.flatnonzero(every.labels == label)[number] for label in (0, 1, 2)]
        with TemporaryDirectory() as folder:
            path = f"{folder}/prototypes.npz"
            np.savez(path, images=every.images[places], labels=every.labels[places])
            name = f"digits (0, 1, 2), image {number + 1} of each"
            found[name] = figures(replace(default, images=path, digits=()), count)
    ten = replace(default, digits=tuple(range(10)))
    found["ten digits"] = figures(ten, count)
    found["ten digits, groups instead of sign patterns"] = figures(replace(ten, imprint="groups"), count)
    for name, row in found.items():
        said(name, row)
    keep("exact_choices", {"samples": count, **found})


if __name__ == "__main__":
    main()

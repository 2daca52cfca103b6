"""The one place where a seed becomes a key: one independent key for every use of randomness."""

from __future__ import annotations

import jax
from jaxtyping import Array, Key

from thermogen.errors import require

# The place of a use is its number. Add new uses at the end, or seeds give other numbers.
USES = (
    "imprint",  # the projection matrix of an imprint
    "training",  # noising trajectories to learn from
    "generation",  # starts, conditions and noise of samples: sample n is the same picture in every command
    "path ratio",  # noising trajectories to measure on
    "pilot",  # the run that chooses dt
    "refinement",  # samples that conditions are refined on
    "survey",  # samples of every condition, from which completion selects one
    "unconditional",  # samples without a requested class
    "classification",  # label units that read a clamped image
    "baselines",  # training and samples of the other generators
    "device",  # errors of an imperfect device and its defect map
    "device noise",  # what an imperfect device generates
    "circuit",  # random computers that are compared with ngspice
    "data",  # exact samples of a known distribution
    "speed",  # noise whose values do not matter: it is timed
)
"""What randomness is used for."""


def check_seed(seed: int) -> None:
    """InputError unless 0 <= seed < 2**32."""
    require(0 <= seed < 2**32, f"seed = {seed}: give a whole number from 0 to 4294967295")


def stream(seed: int, use: str) -> Key[Array, ""]:
    """The key of a seed for one of `USES`: fold_in(key(seed), number of the use).

    Two uses never share a key. Raises InputError for a seed outside 0 to 2**32 - 1 and for an unknown use.
    """
    check_seed(seed)
    require(use in USES, f"unknown use of a seed {use!r}: choose one of {', '.join(USES)}")
    return jax.random.fold_in(jax.random.key(seed), USES.index(use))

"""What a run hands to its report: plain arrays and the numbers of results.json."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from thermogen.generation import Samples


@dataclass(frozen=True)
class RunRecord:
    """A finished run. Images are flat, `image_shape` gives height and width.

    results: the content of results.json. labels: the class of each prototype. prototypes: what was learnt,
    of zero mean and unit variance. noising_film: visible states along noising, one trajectory per image, at
    `noising_times`. loss: per cycle. validation: (cycle, loss, standard error of the change). samples: the
    generated ones. connection_fields: couplings to the visible units of a few hidden units. second: samples
    of a second trainer.
    """

    results: dict[str, Any]
    image_shape: tuple[int, int]
    labels: list[int]
    prototypes: Float[np.ndarray, "P pixels"]
    noising_film: Float[np.ndarray, "frames P pixels"]
    noising_times: Float[np.ndarray, " frames"]
    loss: Float[np.ndarray, " cycles"]
    validation: Float[np.ndarray, "records 3"]
    samples: Samples
    connection_fields: Float[np.ndarray, "fields pixels"]
    second: Samples | None = None

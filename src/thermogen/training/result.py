"""What training returns."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from thermogen.computer import Computer
from thermogen.control import Control


class TrainingResult(NamedTuple):
    """The trained computer and the record of its training.

    loss: of each cycle, (cycles,). validation: (cycle, mean loss on the fixed paths, standard error of its
    difference from the untrained computer), (records, 3). exact: of exact training, residual and iterations
    of the solver and the error of compression.
    """

    computer: Control
    loss: np.ndarray
    validation: np.ndarray
    seconds: float
    exact: dict[str, Any] | None = None


class ExactResult(NamedTuple):
    """The optimum, its gradient relative to that at the start, the iterations and the time.

    force_error: for couplings through few modes, sqrt(tr(X C X) / tr(J C J)) with X the difference from the
    solution J in the full span.
    """

    computer: Computer
    residual: float
    iterations: int
    seconds: float
    force_error: float | None = None

"""What training returns."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from thermogen.computer import Computer
from thermogen.control import Control


class TrainingResult(NamedTuple):
    """The trained computer and how it came about.

    loss: of each cycle, (cycles,). validation: pairs (cycle, mean loss on the fixed paths, standard
    error of its difference from the untrained computer), (records, 3). exact: residual and
    iterations of the solver, and how its couplings were compressed, if it was trained exactly.
    """

    computer: Control
    loss: np.ndarray
    validation: np.ndarray
    seconds: float
    exact: dict[str, Any] | None = None


class ExactResult(NamedTuple):
    """The optimum, the size of the gradient there relative to that at the start, and what it took.

    force_error: of couplings through few modes, the relative force that these leave out,
    sqrt(tr(X C X) / tr(J C J)) for X the difference from the solution J in the whole span.
    """

    computer: Computer
    residual: float
    iterations: int
    seconds: float
    force_error: float | None = None

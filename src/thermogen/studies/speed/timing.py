"""Seconds of several works, measured in turns for the same state of the machine."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

Works = Mapping[str, Callable[[], Any]]


def seconds_of(work: Callable[[], Any]) -> float:
    """Wall seconds of one call, until its arrays are complete."""
    begun = time.perf_counter()
    jax.block_until_ready(jax.tree.leaves(work()))
    return time.perf_counter() - begun


def in_turns(
    works: Works, turns: int, tick: Callable[[int], None] = lambda done: None
) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    """Seconds of each work in each turn, (turns,), and of compiling: the first call minus the median.

    `tick(done)` is called after each turn.
    """
    first = {name: seconds_of(work) for name, work in works.items()}
    times = {name: np.zeros(turns) for name in works}
    for turn in range(turns):
        for name, work in works.items():
            times[name][turn] = seconds_of(work)
        tick(turn + 1)
    return times, {name: max(0.0, first[name] - float(np.median(times[name]))) for name in works}


def ratio(above: np.ndarray, below: np.ndarray) -> dict[str, float]:
    """Median, smallest and largest ratio of two works over the turns."""
    ratios = above / below
    return {"median": float(np.median(ratios)), "min": float(ratios.min()), "max": float(ratios.max())}

"""Seconds of several works, taken in turns so that all meet the same machine."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

Works = Mapping[str, Callable[[], Any]]


def seconds_of(work: Callable[[], Any]) -> float:
    """Wall seconds of one call, until its arrays are there."""
    begun = time.perf_counter()
    jax.block_until_ready(jax.tree.leaves(work()))
    return time.perf_counter() - begun


def in_turns(
    works: Works, turns: int, tick: Callable[[int], None] = lambda done: None
) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    """Seconds of each work in each turn, (turns,), and what its first call took beyond the median: compiling.

    `tick(done)` is called after each turn.
    """
    first = {name: seconds_of(work) for name, work in works.items()}
    times: dict[str, list[float]] = {name: [] for name in works}
    for turn in range(turns):
        for name, work in works.items():
            times[name].append(seconds_of(work))
        tick(turn + 1)
    found = {name: np.array(values) for name, values in times.items()}
    return found, {name: max(0.0, first[name] - float(np.median(found[name]))) for name in works}


def ratio(above: np.ndarray, below: np.ndarray) -> dict[str, float]:
    """Median, smallest and largest ratio of two works over the turns in which both met the same machine."""
    each = above / below
    return {"median": float(np.median(each)), "min": float(each.min()), "max": float(each.max())}

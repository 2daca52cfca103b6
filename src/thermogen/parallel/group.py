"""Who takes part in this run: the number of processes, and which of them this one is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

COORDINATOR, PROCESSES, PROCESS_ID = "THERMOGEN_COORDINATOR", "THERMOGEN_PROCESSES", "THERMOGEN_PROCESS_ID"
CLUSTER = "THERMOGEN_CLUSTER"
VARIABLES = (COORDINATOR, PROCESSES, PROCESS_ID, CLUSTER)
"""Variables of the environment that say what is not given: see `thermogen.parallel.join_processes`."""


@dataclass
class _Group:
    index: int = 0
    count: int = 1
    alone: int = 0  # how many `alone` blocks are open


_group = _Group()


def join(index: int, count: int) -> None:
    """Make this process number `index` of `count`; called by `start` once all are connected."""
    _group.index, _group.count = index, count


def process_count() -> int:
    """How many processes share the work; 1 inside `alone`."""
    return 1 if _group.alone else _group.count


def process_index() -> int:
    """The number of this process, from 0; 0 inside `alone`."""
    return 0 if _group.alone else _group.index


def is_first() -> bool:
    """Whether this process writes what all share: number 0 does, and inside `alone` each what is its own."""
    return process_index() == 0


def is_heard() -> bool:
    """Whether this process shows progress: number 0 of the run."""
    return _group.index == 0


@contextmanager
def alone() -> Iterator[None]:
    """Work inside that this process does for itself, e.g. a job of its own: nothing in it is shared out."""
    _group.alone += 1
    try:
        yield
    finally:
        _group.alone -= 1

"""The processes of this run: their number, and the number of this process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

COORDINATOR, PROCESSES, PROCESS_ID = "THERMOGEN_COORDINATOR", "THERMOGEN_PROCESSES", "THERMOGEN_PROCESS_ID"
CLUSTER = "THERMOGEN_CLUSTER"
VARIABLES = (COORDINATOR, PROCESSES, PROCESS_ID, CLUSTER)
"""Variables of the environment that give missing arguments of `thermogen.parallel.join_processes`."""


@dataclass
class _Group:
    index: int = 0
    count: int = 1
    alone: int = 0  # how many `alone` blocks are open


_group = _Group()


def join(index: int, count: int) -> None:
    """Make this process number `index` of `count`, once all are connected."""
    _group.index, _group.count = index, count


def process_count() -> int:
    """Number of processes that share the work; 1 inside `alone`."""
    return 1 if _group.alone else _group.count


def process_index() -> int:
    """The number of this process, from 0; 0 inside `alone`."""
    return 0 if _group.alone else _group.index


def is_first() -> bool:
    """Whether this process writes the shared files: number 0, and every process inside `alone`."""
    return process_index() == 0


def shows_progress() -> bool:
    """Whether this process shows progress: number 0 of the run."""
    return _group.index == 0


@contextmanager
def alone() -> Iterator[None]:
    """Work of this process alone, e.g. its own job: nothing inside is shared."""
    _group.alone += 1
    try:
        yield
    finally:
        _group.alone -= 1

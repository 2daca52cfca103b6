"""Numbered jobs that know nothing of each other, dealt out over the processes: seeds, settings, devices."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from thermogen.parallel.exchange import Contribution, first, gather
from thermogen.parallel.group import alone, process_count, process_index


def deal(finished: Sequence[bool]) -> list[int]:
    """The numbers that fall to this process: those not `finished` in turns, those finished to process 0.

    Those that are finished cost next to nothing; what is left is dealt evenly, however a run was cut off.
    """
    left = [number for number, done in enumerate(finished) if not done]
    mine = left[process_index() :: process_count()]
    if process_index() == 0:
        mine += [number for number, done in enumerate(finished) if done]
    return sorted(mine)


def jobs(
    name: str,
    count: int,
    work: Callable[[int], Any],
    *,
    finished: Callable[[int], bool] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[Any]:
    """`work(number)` for numbers 0 .. count - 1, in order, each done by one process alone.

    `work` returns what JSON can hold. `finished(number)`: whether it is kept, so that `work` only reads it;
    process 0 looks. `progress(done, number)` is called after each job, with about how many are done in all.
    Raises what `work` raises, in the other processes as ProcessError.
    """
    known = first(f"{name}: kept", lambda: [bool(finished and finished(i)) for i in range(count)])
    mine = deal(known)

    def part() -> Contribution:
        done: dict[str, Any] = {}
        for number in mine:
            with alone():
                done[str(number)] = work(number)
            if progress is not None:
                progress(count * len(done) // len(mine), number)
        return Contribution({}, done)

    found: dict[str, Any] = {}
    for one in gather(name, part):
        found |= one.value
    return [found[str(number)] for number in range(count)]

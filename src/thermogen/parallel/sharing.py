"""Numbered jobs that know nothing of each other, dealt out over the processes: seeds, settings, devices."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from thermogen.errors import InputError
from thermogen.parallel.exchange import Part, first, gather
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

    def part() -> Part:
        done: dict[str, Any] = {}
        for number in mine:
            with alone():
                done[str(number)] = work(number)
            if progress is not None:
                progress(count * len(done) // len(mine), number)
        return Part({}, done)

    found: dict[str, Any] = {}
    for one in gather(name, part):
        found |= one.value
    return [found[str(number)] for number in range(count)]


def share_jobs(
    work: Callable[[dict[str, Any]], Any],
    settings: Sequence[dict[str, Any]],
    *,
    folder: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[Any]:
    """`work(one)` for every one of `settings`, shared out over the processes of the run, in their order.

    For sweeps over seeds and settings. Settings and results are what JSON can hold. With `folder` each
    result is kept there as it is finished, known by its settings: the same call goes on from what is kept,
    with any number of processes, which must see the same folder. Change the folder when `work` changes.

        results = tg.share_jobs(lambda one: heat(one["seed"], one["dt"]), settings, folder=Path("runs/heat"))

    Raises InputError for a kept file that is damaged; what `work` raises, in the other processes as
    ProcessError.
    """

    def file(number: int) -> Path:
        assert folder is not None
        text = json.dumps(settings[number], sort_keys=True)
        return folder / f"job-{hashlib.sha256(text.encode()).hexdigest()[:16]}.json"

    def kept(number: int) -> bool:
        return folder is not None and file(number).exists()

    def result(number: int) -> Any:
        if kept(number):
            try:
                return json.loads(file(number).read_text())["result"]
            except (ValueError, KeyError, TypeError) as error:
                raise InputError(f"{file(number)} is damaged: remove it to run the job again") from error
        found = json.loads(json.dumps(work(settings[number])))  # the same, kept or not
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            partial = file(number).with_suffix(".partial")
            partial.write_text(json.dumps({"settings": settings[number], "result": found}, indent=1) + "\n")
            os.replace(partial, file(number))
        return found

    return jobs("jobs", len(settings), result, finished=kept, progress=progress)

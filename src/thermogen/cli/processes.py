"""Joining several processes that share a command."""

from __future__ import annotations

import os
import sys

from thermogen.errors import require

SHARED = ("sample", "measure", "reproduce", "train", "evaluate", "sweep")
"""Commands whose work several processes share."""


def join(
    command: str | None, coordinator: str | None, processes: int | None, process_id: int | None, cluster: bool
) -> None:
    """Join the other processes, if there are any. After that only process 0 prints.

    InputError for commands that cannot be shared, and as in `thermogen.parallel.join_processes`.
    """
    from thermogen.parallel.group import VARIABLES, process_count

    given = coordinator is not None or processes is not None or process_id is not None
    if not (cluster or given or any(map(os.environ.get, VARIABLES))):
        return
    if command is not None:
        check_shared(command)
    from thermogen.parallel import is_first, join_processes

    join_processes(coordinator, processes, process_id, cluster="auto" if cluster else None)
    if process_count() > 1 and not is_first():
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115  until the process ends


def check_shared(command: str) -> None:
    """InputError for a command that several processes cannot share."""
    require(
        command in SHARED,
        f"{command!r} cannot be shared: run it as one process; shared are {', '.join(SHARED)}",
    )

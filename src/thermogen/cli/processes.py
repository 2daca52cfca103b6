"""Several processes on one command line: joining them."""

from __future__ import annotations

import os
import sys

from thermogen.errors import require

SHARED = ("sample", "measure", "reproduce", "train", "evaluate", "sweep")
"""Commands whose work several processes share."""


def join(
    command: str | None, coordinator: str | None, processes: int | None, process_id: int | None, cluster: bool
) -> None:
    """Join the other processes if there are any; only process 0 is heard from then on.

    InputError for what `thermogen.parallel.join_processes` refuses, and for commands that cannot be shared.
    """
    from thermogen.parallel.group import VARIABLES, process_count

    given = (coordinator, processes, process_id)
    if (
        not cluster
        and all(value is None for value in given)
        and not any(os.environ.get(v) for v in VARIABLES)
    ):
        return
    if command is not None:
        check_shared(command)
    from thermogen.parallel import is_first, join_processes

    join_processes(coordinator, processes, process_id, cluster="auto" if cluster else None)
    if process_count() > 1 and not is_first():
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115  until the process ends


def check_shared(command: str) -> None:
    """InputError for a command that one process does by itself."""
    require(
        command in SHARED,
        f"{command!r} cannot be shared: run it as one process; shared are {', '.join(SHARED)}",
    )

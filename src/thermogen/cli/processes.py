"""Several processes on one command line: joining them, and starting them on this machine."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from thermogen.cli.commands import app
from thermogen.errors import require

SHARED = ("sample", "measure", "reproduce", "train", "evaluate", "sweep")
"""Commands whose work several processes share."""


def join(
    command: str | None, coordinator: str | None, processes: int | None, process_id: int | None, cluster: bool
) -> None:
    """Join the other processes if there are any; only process 0 is heard from then on.

    InputError for what `thermogen.start` refuses, and for commands that cannot be shared.
    """
    from thermogen.parallel.group import VARIABLES, process_count

    given = (coordinator, processes, process_id)
    if not cluster and all(one is None for one in given) and not any(os.environ.get(v) for v in VARIABLES):
        return
    if command is not None:
        check_shared(command)
    from thermogen.parallel import is_first, start

    start(coordinator, processes, process_id, cluster="auto" if cluster else None)
    if process_count() > 1 and not is_first():
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115  until the process ends


def check_shared(command: str) -> None:
    """InputError for a command that one process does by itself."""
    require(
        command in SHARED,
        f"{command!r} cannot be shared: run it as one process; shared are {', '.join(SHARED)}",
    )


@app.command(context_settings={"ignore_unknown_options": True})
def launch(
    words: Annotated[
        list[str], typer.Argument(metavar="-- COMMAND ...", help="The command that they share.")
    ],
    processes: Annotated[int, typer.Option(help="Number of processes.")] = 2,
    devices: Annotated[
        int | None, typer.Option(help="Virtual CPU devices of each process (default: one).")
    ] = None,
    cores: Annotated[
        int | None, typer.Option(help="Cores of each process, with no overlap (default: all for all).")
    ] = None,
) -> None:
    """Run a command as several processes on this machine, which share its work.

    The results have the same bits as those of one process. If a process dies the others are stopped; what is
    finished is kept, for any number of processes to go on from. For several machines see docs/parallel.md.

    Examples:

        thermogen launch --processes 2 -- sample models/digits --count 1000 --out digits.npz

        thermogen launch --processes 2 --cores 1 -- train --images mnist.npz --out models/mnist
    """
    from thermogen.parallel.launcher import launch as started

    check_shared(words[0])
    raise typer.Exit(started(words, processes, devices=devices, cores=cores))

"""The command that starts several processes on this machine."""

from __future__ import annotations

from typing import Annotated

import typer

from thermogen.cli.app import app
from thermogen.cli.processes import check_shared


@app.command(context_settings={"ignore_unknown_options": True})
def launch(
    words: Annotated[list[str], typer.Argument(metavar="-- COMMAND ...", help="The command to share.")],
    processes: Annotated[int, typer.Option(help="Number of processes.")] = 2,
    devices: Annotated[
        int | None, typer.Option(help="Virtual CPU devices of each process (default: one).")
    ] = None,
    cores: Annotated[
        int | None,
        typer.Option(help="Cores of each process, without overlap (default: all processes use all cores)."),
    ] = None,
) -> None:
    """Run a command as several processes on this machine, which share its work.

    The results have the same bits as those of one process. If a process dies, the others stop. Finished work
    is kept, and any number of processes can continue it. For several machines see docs/parallel.md.

    Examples:

        thermogen launch --processes 2 -- sample models/digits --count 1000 --out digits.npz

        thermogen launch --processes 2 --cores 1 -- train --images mnist.npz --out models/mnist
    """
    from thermogen.parallel.launcher import launch as started

    check_shared(words[0])
    raise typer.Exit(started(words, processes, devices=devices, cores=cores))

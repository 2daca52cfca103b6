"""The command that opens the live page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from thermogen.cli import options as o
from thermogen.cli.app import app
from thermogen.errors import InputError

_NEEDED = ("starlette", "uvicorn", "websockets")


@app.command()
def studio(
    model: Annotated[
        Path | None,
        typer.Argument(metavar="MODEL", help="A model folder to show first. The shipped models follow."),
    ] = None,
    dt: o.Dt = None,
    host: Annotated[
        str, typer.Option(help="Address to serve on. Default: this machine alone.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0: any free one.")] = 8765,
    open_page: Annotated[bool, typer.Option("--open/--no-open", help="Open the page in the browser.")] = True,
) -> None:
    """Open the live page: watch generation, change the temperature, choose a class, draw and train.

    Everything runs on this machine, without network. Ctrl-C stops it.

    Examples:

        thermogen studio

        thermogen studio runs/reproduce/model --port 9000 --no-open
    """
    from importlib.util import find_spec

    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise InputError(f"the studio needs {', '.join(missing)}: pip install 'thermogen[studio]'")
    from thermogen.studio.models import Models
    from thermogen.studio.server import LOOPBACK, serve

    def ready(address: str) -> None:
        print(f"studio: {address}   (Ctrl-C ends it)", flush=True)
        if host not in LOOPBACK:
            print("anyone who reaches this address can use this machine's cores", flush=True)
        if open_page:
            import webbrowser

            webbrowser.open(address)

    serve(Models.of(model, dt), host, port, ready)

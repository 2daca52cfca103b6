"""The command line: parses, calls, prints."""

from __future__ import annotations

import sys
import traceback
from importlib import import_module
from typing import Any

from thermogen.errors import InputError

ROOMS = (
    "studio",
    "training",
    "models",
    "asked",
    "energy",
    "claims",
    "hardware",
    "tolerance",
    "bench",
    "processes",
)
"""Modules whose commands join those of `commands`, in the order of the help."""


def application() -> Any:
    """The typer application with all its commands."""
    from thermogen.cli.commands import app

    for room in ROOMS:
        import_module(f"thermogen.cli.{room}")
    return app


def main() -> None:
    """Run the `thermogen` command; an error of the user ends in one line and exit code 2."""
    from thermogen.parallel.group import process_count

    code: object = 0
    try:
        application()()
    except InputError as error:
        print(f"thermogen: {error}", file=sys.stderr)
        code = 2
    except SystemExit as stopped:
        code = stopped.code
    except BaseException:
        if process_count() == 1:
            raise
        traceback.print_exc()
        code = 1
    if process_count() > 1:
        from thermogen.parallel import leave

        leave(code if isinstance(code, int) else int(code is not None))
    sys.exit(code)  # pyright: ignore[reportArgumentType]

"""The command line: parses, calls, prints."""

from __future__ import annotations

import sys

from thermogen.errors import InputError


def main() -> None:
    """Run the `thermogen` command; an error of the user ends in one line and exit code 2."""
    from thermogen.cli import asked, claims, energy, hardware, tolerance  # noqa: F401  each registers
    from thermogen.cli.commands import app

    try:
        app()
    except InputError as error:
        print(f"thermogen: {error}", file=sys.stderr)
        sys.exit(2)

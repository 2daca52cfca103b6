"""The command line: parses, calls, prints."""

from __future__ import annotations

import sys
import traceback


def main() -> None:
    """Run the `thermogen` command; an error of the user ends in one line and exit code 2."""
    from thermogen.cli.app import application
    from thermogen.errors import InputError
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

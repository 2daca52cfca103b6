"""A file of earlier measurements, one a line, to compare a machine with itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from thermogen.errors import InputError


def earlier(path: Path, new: dict[str, Any]) -> dict[str, Any] | None:
    """The last entry with the same machine, units and batch; None if there is none.

    Raises InputError for a file that is no history.
    """
    if not path.exists():
        return None
    last = None
    for number, line in enumerate(path.read_text().splitlines(), 1):
        try:
            old = json.loads(line)
            same = all(old[name] == new[name] for name in ("machine", "units", "batch"))
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"line {number} of {path} is no bench ({error}): name another file") from error
        last = old if same else last
    return last


def keep(path: Path, new: dict[str, Any]) -> None:
    """Add an entry to the file."""
    with path.open("a") as file:
        file.write(json.dumps(new) + "\n")


def changes(old: dict[str, Any], new: dict[str, Any]) -> dict[str, float]:
    """Relative change of milliseconds by bound, step and sample, e.g. {'steps: full': -0.05}."""
    return {
        f"{kind}: {name}": row["ms"] / old[kind][name]["ms"] - 1
        for kind in ("bounds", "steps", "samples")
        for name, row in new.get(kind, {}).items()
        if name in old.get(kind, {})
    }

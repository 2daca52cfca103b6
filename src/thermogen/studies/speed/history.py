"""Benches kept one a line, so that a machine can be compared with itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from thermogen.errors import InputError


def earlier(path: Path, found: dict[str, Any]) -> dict[str, Any] | None:
    """The last bench in the file of the same machine, units and batch; None if there is none.

    Raises InputError for a file that is no history.
    """
    if not path.exists():
        return None
    alike = None
    for number, line in enumerate(path.read_text().splitlines(), 1):
        try:
            old = json.loads(line)
            same = all(old[name] == found[name] for name in ("machine", "units", "batch"))
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"line {number} of {path} is no bench ({error}): name another file") from error
        alike = old if same else alike
    return alike


def keep(path: Path, found: dict[str, Any]) -> None:
    """Add a bench to the file."""
    with path.open("a") as file:
        file.write(json.dumps(found) + "\n")


def changes(old: dict[str, Any], new: dict[str, Any]) -> dict[str, float]:
    """Relative change of milliseconds by bound, step and sample, e.g. {'steps: full': -0.05}."""
    found = {}
    for part in ("bounds", "steps", "samples"):
        for name, row in new.get(part, {}).items():
            before = old.get(part, {}).get(name)
            if before is not None:
                found[f"{part}: {name}"] = row["ms"] / before["ms"] - 1
    return found

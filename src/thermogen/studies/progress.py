"""Progress of long work."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

Tick = Callable[[int, str], None]
"""tick(done, note): progress of a stage."""
Stage = Callable[[str, int], AbstractContextManager[Tick]]
"""stage(name, total): opens a stage of long work and gives its tick."""


def silent(name: str, total: int) -> AbstractContextManager[Tick]:
    """A stage that shows nothing."""
    return nullcontext(lambda done, note: None)

"""Messages of a page: each is checked completely, and is a command or an error."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from thermogen.errors import InputError, require

LONGEST = 400_000
"""Characters of a message: a dozen drawings of the largest images."""
MOST_PICTURES = 12

Check = Callable[[Any], Any]


class Command(NamedTuple):
    """A checked message: what to do, with its arguments."""

    do: str
    given: dict[str, Any]


def read(text: str | bytes | None) -> Command:
    """A message as a command; InputError, in one line, for anything else."""
    require(isinstance(text, str), "a message of bytes: send JSON text")
    assert isinstance(text, str)
    require(len(text) <= LONGEST, f"a message of {len(text)} characters: send {LONGEST} or less")
    try:
        message = json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise InputError(f"a message is no JSON ({error}): send an object with 'do'") from error
    require(isinstance(message, dict), "a message is no object: send an object with 'do'")
    do = message.pop("do", None)
    if not isinstance(do, str) or do not in _COMMANDS:
        raise InputError(f"unknown command {str(do)[:40]!r}: choose one of {', '.join(_COMMANDS)}")
    checks = _COMMANDS[do]
    missing = [name for name, check in checks.items() if name not in message and check is not _SEED]
    require(not missing, f"{do!r} lacks {', '.join(missing)}")
    given = {}
    for name, value in message.items():
        require(name in checks, f"{do!r} has an unknown part {name[:40]!r}: leave it out")
        try:
            given[name] = checks[name](value)
        except (TypeError, ValueError, OverflowError) as error:
            raise InputError(f"{name} = {str(value)[:40]!r} of {do!r} cannot be used: {error}") from error
    return Command(do, given)


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no number")


def _whole(low: int, high: int) -> Check:
    def check(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ValueError(f"give a whole number from {low} to {high}")
        return value

    return check


def _number(low: float, high: float) -> Check:
    def check(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise ValueError(f"give a number from {low:g} to {high:g}")
        return float(value)

    return check


def _one_of(*words: str) -> Check:
    def check(value: Any) -> str:
        if value not in words:
            raise ValueError(f"choose one of {', '.join(words)}")
        return value

    return check


def _text(value: Any) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= 200:
        raise ValueError("give a name")
    return value


def _optional(check: Check) -> Check:
    return lambda value: None if value is None else check(value)


def _list_of(check: Check, least: int, most: int, words: str) -> Check:
    def check_all(value: Any) -> list[Any]:
        if not isinstance(value, list) or not least <= len(value) <= most:
            raise ValueError(f"give {words}")
        return [check(item) for item in value]

    return check_all


_levels = _list_of(_whole(-1, 255), 1, 256 * 256, "a list of levels, one for each visible unit")


def _drawing(value: Any) -> np.ndarray:
    """Levels of units: -1 free, 0 paper to 255 ink."""
    return np.array(_levels(value))


def _drawings(value: Any) -> np.ndarray:
    drawings = _list_of(_drawing, 2, MOST_PICTURES, f"2 to {MOST_PICTURES} drawings")(value)
    if len({len(drawing) for drawing in drawings}) > 1:
        raise ValueError("give drawings of one size")
    return np.stack(drawings)


def _digits(value: Any) -> tuple[int, ...]:
    digits = _list_of(_whole(0, 9), 2, 10, "2 to 10 different digits")(value)
    if len(set(digits)) < len(digits):
        raise ValueError("give 2 to 10 different digits")
    return tuple(digits)


_SEED = _whole(0, 2**32 - 1)
_COMMANDS: dict[str, dict[str, Check]] = {
    "choose": {"model": _text},
    "run": {},
    "pause": {},
    "step": {},
    "restart": {"seed": _SEED},
    "pace": {"value": _number(0.001, 100.0)},
    "temperature": {"value": _number(1e-9, 1e6)},
    "dt": {"value": _number(1e-9, 1e6)},
    "integrator": {"value": _text},
    "samples": {"value": _whole(1, 64)},
    "at_end": {"value": _one_of("again", "stop", "on")},
    "ask": {"label": _optional(_whole(-(2**31), 2**31))},
    "hold": {"drawing": _drawing},
    "place": {"drawing": _drawing},
    "example": {"label": _whole(0, 9), "number": _whole(0, 99)},
    "select": {"sample": _whole(0, 63), "unit": _optional(_whole(0, 2**31))},
    "train_digits": {"digits": _digits},
    "train_drawings": {"drawings": _drawings},
    "stop_training": {},
    "seen": {"frame": _whole(0, 2**53)},
}

"""What a page may say: a message is checked whole, and is a command or an error, before anything moves."""

from __future__ import annotations

import json
import math
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
    """A message as a command; InputError, in one line, for whatever is none."""
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
    unknown = sorted(set(message) - set(checks))
    require(not unknown, f"{do!r} has an unknown part {(unknown or [''])[0][:40]!r}: leave it out")
    missing = [name for name, check in checks.items() if name not in message and check not in _OPTIONAL]
    require(not missing, f"{do!r} lacks {', '.join(missing)}")
    return Command(do, {name: _checked(do, name, checks[name], value) for name, value in message.items()})


def _checked(do: str, name: str, check: Check, value: Any) -> Any:
    try:
        return check(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{name} = {str(value)[:40]!r} of {do!r} cannot be used: {error}") from error


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
        right = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if not right or not low <= value <= high:
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


def _or_nothing(check: Check) -> Check:
    return lambda value: None if value is None else check(value)


def _drawing(value: Any) -> np.ndarray:
    """Levels of units: -1 left alone, 0 paper to 255 ink."""
    level = _whole(-1, 255)
    if not isinstance(value, list) or not 1 <= len(value) <= 256 * 256:
        raise ValueError("give a list of levels, one for each visible unit")
    return np.array([level(one) for one in value])


def _drawings(value: Any) -> np.ndarray:
    if not isinstance(value, list) or not 2 <= len(value) <= MOST_PICTURES:
        raise ValueError(f"give 2 to {MOST_PICTURES} drawings")
    drawn = [_drawing(one) for one in value]
    if len({len(one) for one in drawn}) > 1:
        raise ValueError("give drawings of one size")
    return np.stack(drawn)


def _digits(value: Any) -> tuple[int, ...]:
    one = _whole(0, 9)
    if not isinstance(value, list) or not 2 <= len(value) <= 10 or len(set(map(str, value))) < len(value):
        raise ValueError("give 2 to 10 different digits")
    return tuple(one(digit) for digit in value)


_SEED = _whole(0, 2**32 - 1)
_OPTIONAL: set[Check] = {_SEED}
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
    "ask": {"label": _or_nothing(_whole(-(2**31), 2**31))},
    "hold": {"drawing": _drawing},
    "place": {"drawing": _drawing},
    "example": {"label": _whole(0, 9), "number": _whole(0, 99)},
    "select": {"sample": _whole(0, 63), "unit": _or_nothing(_whole(0, 2**31))},
    "train_digits": {"digits": _digits},
    "train_drawings": {"drawings": _drawings},
    "stop_training": {},
    "seen": {"frame": _whole(0, 2**53)},
}

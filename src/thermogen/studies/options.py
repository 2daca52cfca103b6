"""Command-line options as annotations of the fields of settings."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cache
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from thermogen.errors import require


@dataclass(frozen=True)
class Option:
    """Text and bounds of a field on the command line. This module loads no JAX.

        hidden: Annotated[int, Option("Number of hidden units.", COMPUTER, least=0)] = 512

    default: in words, where the default depends on other settings: the command line then passes None.
    flag: the option, where it is not the name of the field. least, most: bounds of the value.
    """

    help: str
    panel: str
    default: str | None = None
    flag: str | None = None
    least: float | None = None
    most: float | None = None


DATA, COMPUTER, TRAINING = "Training data", "The computer", "Training"
EXACT, GENERATOR, RUN = "Exact training", "The generator", "The run"
"""Panels of the help."""

DT = Option("Time step of noising, in 1 / (mobility E0): a number.", RUN)
SEED = Option("Seed of all random numbers.", RUN, least=0, most=2**32 - 1)
RIDGE = Option("Variance added to every unit. It keeps the couplings small.", EXACT, least=0)


@cache
def options_of(settings: type) -> dict[str, tuple[Any, Option]]:
    """Type and option of every field of a dataclass that has one, in the order of the fields."""
    hints = get_type_hints(settings, include_extras=True)
    annotated = {
        field.name: get_args(hints[field.name])
        for field in fields(settings)
        if get_origin(hints[field.name]) is Annotated
    }
    return {name: (kind, option) for name, (kind, option, *_) in annotated.items()}


def check_bounds(settings: Any) -> None:
    """InputError for a field outside the bounds of its option; None is inside."""
    for name, (_, option) in options_of(type(settings)).items():
        value, least, most = getattr(settings, name), option.least, option.most
        if value is None or least is None:
            continue
        allowed = f"{least} or more" if most is None else f"a number from {least} to {most}"
        inside = value >= least and (most is None or value <= most)
        require(inside, f"{name} = {value}: give {allowed}")

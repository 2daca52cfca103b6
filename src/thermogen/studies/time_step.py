"""The time step with which a stored model generates: a number, or chosen by a pilot run."""

from __future__ import annotations

from dataclasses import asdict, replace

from thermogen.errors import InputError
from thermogen.generation import suitable_dt
from thermogen.langevin import Integrator
from thermogen.seeds import stream
from thermogen.storage.model import Model
from thermogen.studies.settings import Settings

AUTO = "auto"


def is_published(model: Model) -> bool:
    """Whether a model was trained at the published setting, `Settings()`, from any seed."""
    trained = {name: value for name, value in model.training.items() if name != "validation_loss"}
    same = {"digits": tuple(trained.get("digits", ())), "seed": 0}
    return {**trained, **same} == asdict(Settings())


def number_of(dt: str | float | None) -> float:
    """A time step as a number; InputError for another word."""
    try:
        return float(dt)  # pyright: ignore[reportArgumentType]
    except (TypeError, ValueError):
        raise InputError(f"dt = {dt}: give a number, e.g. 0.01, or '{AUTO}'") from None


def at_step(
    model: Model, dt: str | float | None = None, seed: int = 0, integrator: Integrator | None = None
) -> Model:
    """The model with the time step of its generation in its schedule.

    dt: a number, 'auto' (`suitable_dt`, a pilot run from the seed), or None, which is the step of the model
    if it is the published one and 'auto' if not. InputError for a step that is no number or divides no t_f.
    """
    if dt is None and is_published(model):
        return model
    if dt in (None, AUTO):
        dt = suitable_dt(stream(seed, "pilot"), model.computer, model.schedule, integrator)
    return replace(model, schedule=replace(model.schedule, dt=number_of(dt)))

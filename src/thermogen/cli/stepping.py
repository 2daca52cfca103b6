"""How a stored model is stepped: time step, scheme, noise and products, as asked for on the command line."""

from __future__ import annotations

from dataclasses import dataclass, replace

from thermogen.errors import InputError
from thermogen.generation import suitable_dt
from thermogen.langevin import Integrator, named_integrator
from thermogen.noising import Schedule
from thermogen.seeds import stream
from thermogen.storage.model import Model

AUTO = "auto"


@dataclass(frozen=True)
class Stepping:
    """dt: a number as text, 'auto', or None for the model's. double: all in float64. The rest: names
    (`langevin.Integrator`).
    """

    dt: str | float | None = None
    integrator: str = "euler"
    noise: str = "gaussian"
    products: str = "full"
    double: bool = False

    def method(self) -> Integrator:
        """The integrator; InputError for an unknown name."""
        return named_integrator(self.integrator, self.noise, self.products)

    def settled(self, model: Model, seed: int) -> Stepping:
        """The same with 'auto' replaced by the step that suits the model: the same for the same seed."""
        if self.dt != AUTO:
            return self
        key = stream(seed, "pilot")
        return replace(self, dt=suitable_dt(key, model.computer, model.schedule, self.method()))

    def schedule(self, model: Model) -> Schedule:
        """The model's schedule with this step; InputError for one that is no number or divides no t_f."""
        if self.dt is None:
            return model.schedule
        try:
            dt = float(self.dt)
        except ValueError:
            raise InputError(f"dt = {self.dt}: give a number, e.g. 0.01, or '{AUTO}'") from None
        return replace(model.schedule, dt=dt)

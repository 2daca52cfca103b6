"""One visitor's computer: its state between two frames, and all that can be done to it meanwhile."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, UInt8

from thermogen.control import Clamp, ConditionSet, ModeTable, PerClass
from thermogen.data import Images
from thermogen.errors import require
from thermogen.langevin import (
    INTEGRATORS,
    check_escape,
    named_integrator,
    sample_keys,
    sample_uncoupled,
)
from thermogen.quality import Classifier
from thermogen.seeds import stream
from thermogen.studies.completion import likely_conditions, shown_values
from thermogen.studio import engine
from thermogen.studio.engine import Motion
from thermogen.studio.shown_model import FREE, ShownModel, levels

MOST_SAMPLES = 64
_FILM = 150  # frames kept of a run; the rest are thinned out


@dataclass(frozen=True)
class EnergyBalance:
    """Energies of every sample since the start, in kT of the model, (n,).

    change: V(x(t)) - V_0(x(0)). heat: metered along the path as force times displacement. work: of switching
    the couplings on and over, and of moving units by hand. gap = change - (work - heat) is rounding.
    """

    change: Float[np.ndarray, " n"]
    heat: Float[np.ndarray, " n"]
    work: Float[np.ndarray, " n"]

    @property
    def gap(self) -> Float[np.ndarray, " n"]:
        """By how much the first law fails, in kT."""
        return self.change - (self.work - self.heat)


class Simulation:
    """A run of `count` samples that can be stepped, heated, asked, drawn upon and looked into.

    Untouched, it is the run of `thermogen.generate(stream(seed, "generation"), ...)`: same noise, same
    samples. A new dt or a new start of the clock takes fresh noise.
    """

    def __init__(self, loaded: ShownModel, classifier: Classifier | None, count: int = 16, seed: int = 0):
        self.loaded, self.classifier, self.count, self.seed = loaded, classifier, count, seed
        schedule = loaded.model.schedule
        self.kT, self.dt, self.integrator = float(loaded.model.computer.kT), schedule.dt, "euler"
        self.label: int | None = None
        self.held = np.full(loaded.model.computer.units.visible, FREE)
        self._guessed: tuple[bytes, np.ndarray] | None = None
        self.begin()

    # --- what is fixed for a run --------------------------------------------------------------------------

    @property
    def steps(self) -> int:
        """Steps of a run, t_f / dt."""
        return round(self.loaded.model.schedule.t_f / self.dt)

    @property
    def t(self) -> float:
        """Time since the couplings were switched on."""
        return self.step * self.dt

    @property
    def finished(self) -> bool:
        """Whether t_f is reached."""
        return self.step >= self.steps

    def begin(self, seed: int | None = None) -> None:
        """Back to noise: units in equilibrium without couplings, then V_theta is switched on, at a cost."""
        self.seed = self.seed if seed is None else seed
        self.step, self._changes, self._read_states = 0, 0, 0
        self.verdict: Int[np.ndarray, " n"] | None = None
        self.readout: Float[np.ndarray, "n visible"] | None = None
        self.film: list[np.ndarray] = []
        self._film_every, self._frames = 1, 0
        key = stream(self.seed, "generation")
        start_key, self._path_key = jax.random.split(key)
        numbers = jnp.arange(self.count)
        self._keys = sample_keys(self._path_key, numbers)
        rest = engine.with_temperature(self.loaded.model.computer.uncoupled(), self.kT)
        self._choose(key)
        self._motion = Motion.at_rest(self._with_held(sample_uncoupled(start_key, rest, numbers)))
        self._idle = rest.energy(self._motion.x)
        self._work = self._energy() - self._idle
        self._keep_frame()

    def _choose(self, key: Array) -> None:
        """The couplings of this run: what was asked for, what a drawing suggests, or all classes in turn."""
        control = self.loaded.model.computer
        self.labels: Int[np.ndarray, " n"] | None = None
        self._conditions = None
        if isinstance(control, ConditionSet):
            self.labels = np.resize(control.labels if self.label is None else [self.label], self.count)
            guess = self._guess() if self.label is None and (self.held != FREE).any() else None
            if guess is None:
                self._conditions = control.draw(key, np.arange(self.count), self.labels)
            else:
                self._conditions = np.full(self.count, guess)
                self.labels = np.full(self.count, control.classes[guess])
            control = control.select(self._conditions)
        elif isinstance(control, PerClass):  # one set of couplings at a time: unasked, those of one class
            label = control.labels[self.seed % len(control.labels)] if self.label is None else self.label
            self.labels = np.full(self.count, label)
            control = control.choose(label)
        elif self.label is not None:  # asked by holding the hidden units
            self.labels = np.full(self.count, self.label)
        self._control = control
        self._clamp()

    def _guess(self) -> int | None:
        """The most probable condition given the held pixels; None for a control without a table of them."""
        model = self.loaded.model
        if not isinstance(model.computer, ModeTable) or "image_span" not in model.training:
            return None
        pattern = self.held.tobytes()
        if self._guessed is None or self._guessed[0] != pattern:
            shown = np.where(self.held == FREE, 0, self.held).reshape(1, *model.image_shape).astype(float)
            shown[0].flat[0] += 1e-6 if np.ptp(shown) == 0 else 0  # a constant picture has no scale
            values = shown_values(model, Images(shown, np.zeros(1, int), "drawing", ""))
            found = likely_conditions(self.loaded.survey, model.computer, self.held != FREE, values)
            self._guessed = pattern, found
        return int(self._guessed[1][0])

    # --- motion -------------------------------------------------------------------------------------------

    def advance(self, steps: int) -> None:
        """Let `steps` steps pass; at t_f a run stops to be read, and goes on at the next call.

        Raises DivergenceError for a dt that is too large; the states are then those before it showed.
        """
        require(steps >= 0, f"steps = {steps}: give 0 or more")
        while steps > 0:
            part, until = self._piece()
            now = min(steps, until - self.step) if until > self.step else steps
            if not self.finished:
                now = min(now, self.steps - self.step)
            self._run(part, now)
            steps -= now
            if self.step == self.steps:
                self._read()
                break
        self._keep_frame()

    def _piece(self) -> tuple[int, int]:
        """Which of the computers in turn is in force, and the step at which the next one takes over."""
        count = len(self._parts)
        part = min(count - 1, self.step * count // self.steps)
        return part, self.steps if part == count - 1 else -(-self.steps * (part + 1) // count)

    def _run(self, part: int, steps: int) -> None:
        if part != self._part:  # another computer takes over at the same state: that is work
            before = self._energy()
            self._part = part
            self._work = self._work + self._energy() - before
        first, reading = jnp.asarray(self.step), self.steps - self._readout_steps
        integrator = named_integrator(self.integrator)
        dt = jnp.asarray(self.dt, self._motion.x.dtype)
        control = self._parts[part]
        moved = engine.advance(
            self._keys, control, self._motion, first, jnp.asarray(steps), jnp.asarray(reading), dt, integrator
        )
        check_escape(
            self._keys,
            control,
            self._motion.x,
            moved.x,
            steps=steps,
            dt=dt,
            integrator=integrator,
            first_step=first,
        )
        self._motion = moved
        self._read_states += max(0, min(self.step + steps, self.steps) - max(self.step, reading))
        self.step += steps

    @property
    def _readout_steps(self) -> int:
        return max(1, round(self.loaded.model.schedule.readout / self.dt))

    def _read(self) -> None:
        """The read-out at t_f and what the classifier sees in it."""
        visible = self.units.slice("visible")
        self.readout = np.asarray(self._motion.read[:, visible] / max(1, self._read_states))
        if self.classifier is not None and self.classifier.shape == self.loaded.model.image_shape:
            self.verdict = self.classifier.classify(self.readout).label

    # --- what is shown ------------------------------------------------------------------------------------

    @property
    def units(self) -> Any:
        """The units by role."""
        return self.loaded.model.computer.units

    @property
    def x(self) -> Float[np.ndarray, "n N"]:
        """The states."""
        return np.asarray(self._motion.x)

    def picture(self) -> UInt8[np.ndarray, "n N"]:
        """The states as 256 levels from -scale to scale."""
        return levels(self.x, self.loaded.scale)

    def ledger(self) -> EnergyBalance:
        """Energy, heat and work since the start, in kT of the model."""
        kT = float(self.loaded.model.computer.kT)
        change = self._energy() - self._idle
        work = self._work + self._motion.work
        return EnergyBalance(*(np.asarray(one, float) / kT for one in (change, self._motion.heat, work)))

    def look(self, sample: int, unit: int) -> tuple[Float[np.ndarray, " N"], dict[str, float]]:
        """The couplings J_j of a unit, (N,), and the forces on it now, in E0: own, bias, neighbours."""
        part = self._parts[self._part].at(self.t)
        row = np.array(engine.couplings_of(part, jnp.asarray(unit), self._motion.x)[sample])
        x = self.x[sample]
        bias, slope = (
            np.broadcast_to(np.asarray(one), self.x.shape)[sample, unit]
            for one in (part.bias, part.own_slope(self._motion.x))
        )
        stiffness, row[unit] = float(row[unit]), 0.0  # of summing nodes that act back on the unit itself
        own = -float(slope) - stiffness * float(x[unit])
        forces = {"own": own, "bias": -float(bias), "neighbours": -float(row @ x)}
        total = sum(forces.values())
        return row, {"x": float(x[unit]), **forces, "total": total}

    # --- changes ------------------------------------------------------------------------------------------

    def set_dt(self, dt: float) -> None:
        """Another time step from now on, the nearest that divides t_f; noise is drawn afresh."""
        t_f = self.loaded.model.schedule.t_f
        require(math.isfinite(dt) and 0 < dt <= t_f / 2, f"dt = {dt}: give a step above 0, at most t_f / 2")
        t = self.t
        self.dt = t_f / max(2, round(t_f / dt))
        self.step = round(t / self.dt)
        self._changes += 1
        fresh = jax.random.fold_in(self._path_key, self._changes)
        self._keys = sample_keys(fresh, jnp.arange(self.count))

    def set_temperature(self, kT: float) -> None:
        """Another temperature of the bath from now on."""
        require(math.isfinite(kT) and kT > 0, f"kT = {kT}: give a positive number")
        self.kT = kT
        self._clamp()

    def set_integrator(self, name: str) -> None:
        """Another method from now on."""
        require(name in INTEGRATORS, f"unknown integrator {name!r}: choose one of {', '.join(INTEGRATORS)}")
        self.integrator = name

    def set_count(self, count: int) -> None:
        """Another number of samples, from the start; those that were there come again."""
        require(1 <= count <= MOST_SAMPLES, f"samples = {count}: give 1 to {MOST_SAMPLES}")
        self.count = count
        self.begin()

    def ask(self, label: int | None) -> None:
        """Begin again, drawing this class, or all in turn if None."""
        known = self.loaded.labels
        require(
            label is None or label in known,
            f"digit {label} was not learnt: choose among {', '.join(map(str, known))}",
        )
        self.label = label
        self.begin()

    def hold(self, drawing: Int[np.ndarray, " visible"]) -> None:
        """Clamp the drawn visible units from now on and let the others run; a drawing of FREE lets all go.

        Moving units by hand is work.
        """
        self._check_drawing(drawing)
        require(not (drawing != FREE).all(), "every unit is held: leave some free to move")
        self.held = np.array(drawing)
        self._move(self._with_held(self._motion.x))
        self._clamp()

    def place(self, drawing: Int[np.ndarray, " visible"]) -> None:
        """Put the drawn visible units where ink and paper stand, once, and let them run."""
        self._check_drawing(drawing)
        self._move(self._with_drawn(self._motion.x, drawing))

    def _check_drawing(self, drawing: np.ndarray) -> None:
        visible = self.units.visible
        require(drawing.shape == (visible,), f"a drawing of {drawing.size} units: give all {visible}")
        require(bool(((drawing >= FREE) & (drawing <= 255)).all()), "a level is out of range: give -1 to 255")

    def _move(self, x: Array) -> None:
        before = self._energy()
        self._motion = self._motion._replace(x=x)
        self._work = self._work + self._energy() - before

    def _with_drawn(self, x: Array, drawing: np.ndarray) -> Array:
        values = self.loaded.standing.levels[np.clip(drawing, 0, 255)]
        whole = np.zeros(self.units.total, np.float32)
        drawn = np.zeros(self.units.total, bool)
        whole[self.units.slice("visible")], drawn[self.units.slice("visible")] = values, drawing != FREE
        return jnp.where(jnp.asarray(drawn), jnp.asarray(whole), x)

    def _with_held(self, x: Array) -> Array:
        """States with held units at their values: the drawn ones, and hidden ones that ask for a picture."""
        x = self._with_drawn(x, self.held) if (self.held != FREE).any() else x
        asked = self._asked_hidden()
        return x if asked is None else x.at[:, self.units.slice("hidden")].set(jnp.asarray(asked))

    def _asked_hidden(self) -> np.ndarray | None:
        known = self.loaded.standing
        if self.label is None or known.hidden is None or isinstance(self.loaded.model.computer, ConditionSet):
            return None
        return known.hidden[known.labels.index(self.label)]

    def _holding(self) -> Bool[np.ndarray, " N"]:
        held = np.zeros(self.units.total, bool)
        held[self.units.slice("visible")] = self.held != FREE
        held[self.units.slice("hidden")] = self._asked_hidden() is not None
        return held

    def _clamp(self) -> None:
        """The computers in turn at this temperature, held units with mobility 0."""
        held = self._holding()
        control = self._control.map_reference(partial(engine.with_temperature, kT=self.kT))
        if held.any():
            control = Clamp(held, np.zeros((self.count, self.units.total), np.float32)).freeze(control)
        self._parts = engine.in_turn(control)
        self._part = self._piece()[0] if self.step else 0

    def _energy(self) -> Array:
        return engine.energy(
            self._parts[self._part], self._motion.x, jnp.asarray(self.t, self._motion.x.dtype)
        )

    def _keep_frame(self) -> None:
        if self._frames % self._film_every == 0:
            self.film.append(self.x[:, self.units.slice("visible")].astype(np.float16))
            if len(self.film) > _FILM:
                self.film, self._film_every = self.film[::2], 2 * self._film_every
        self._frames += 1

"""The simulation of one visitor: its state between two frames, and the changes to it."""

from __future__ import annotations

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, UInt8

from thermogen.control import Clamp, ConditionSet, ModeTable, PerClass
from thermogen.data import Images
from thermogen.errors import require
from thermogen.langevin import INTEGRATORS, check_escape, named_integrator, sample_keys, sample_uncoupled
from thermogen.quality import Classifier
from thermogen.seeds import stream
from thermogen.studies.completion import likely_conditions, shown_values
from thermogen.studio import engine
from thermogen.studio.engine import EnergyBalance, Motion
from thermogen.studio.shown_model import FREE, ShownModel, levels

MOST_SAMPLES = 64
_FILM = 150  # frames kept of a run; the rest are thinned out


class Simulation:
    """A run of `count` samples, advanced step by step, that a visitor can change and inspect.

    Without changes it is the run of `thermogen.generate(stream(seed, "generation"), ...)`: the same noise and
    the same samples. After a change of dt it uses new noise.
    """

    def __init__(self, shown: ShownModel, classifier: Classifier | None, count: int = 16, seed: int = 0):
        self.shown, self.model, self.units = shown, shown.model, shown.model.computer.units
        self.classifier, self.count, self.seed = classifier, count, seed
        self.kT, self.dt, self.integrator = float(self.model.computer.kT), self.model.schedule.dt, "euler"
        self.label: int | None = None
        self.clamped = np.full(self.units.visible, FREE)
        self._guessed: tuple[bytes, int] | None = None
        self.begin()

    # --- the run ------------------------------------------------------------------------------------------

    @property
    def steps(self) -> int:
        """Steps of a run, t_f / dt."""
        return round(self.model.schedule.t_f / self.dt)

    @property
    def t(self) -> float:
        """Time since the couplings were switched on."""
        return self.step * self.dt

    @property
    def finished(self) -> bool:
        """Whether t_f is reached."""
        return self.step >= self.steps

    def begin(self, seed: int | None = None) -> None:
        """Start again: uncoupled units in equilibrium; then V_theta is switched on, which is work."""
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
        reference = engine.with_temperature(self.model.computer.uncoupled(), self.kT)
        self._select(key)
        x = jnp.where(*self._clamp_of(), sample_uncoupled(start_key, reference, numbers))
        self._motion = Motion.at_rest(x)
        self._start = reference.energy(x)
        self._work = self._energy() - self._start
        self._keep_frame()

    def _select(self, key: Array) -> None:
        """The control of this run: for the chosen class, the clamped drawing, or all classes in turn."""
        control = self.model.computer
        self.labels: Int[np.ndarray, " n"] | None = None
        self._conditions = None
        if isinstance(control, ConditionSet):
            self.labels = np.resize(control.labels if self.label is None else [self.label], self.count)
            guess = self._guess() if self.label is None and (self.clamped != FREE).any() else None
            if guess is None:
                self._conditions = control.draw(key, np.arange(self.count), self.labels)
            else:
                self._conditions = np.full(self.count, guess)
                self.labels = np.full(self.count, control.classes[guess])
            control = control.select(self._conditions)
        elif isinstance(control, PerClass):  # without a chosen class, the seed selects one
            label = control.labels[self.seed % len(control.labels)] if self.label is None else self.label
            self.labels = np.full(self.count, label)
            control = control.choose(label)
        elif self.label is not None:  # clamped hidden units select the class
            self.labels = np.full(self.count, self.label)
        self._control = control
        self._prepare()

    def _guess(self) -> int | None:
        """The most probable condition given the clamped pixels; None for a control without conditions."""
        model, pattern = self.model, self.clamped.tobytes()
        if not isinstance(model.computer, ModeTable) or "image_span" not in model.training:
            return None
        if self._guessed is None or self._guessed[0] != pattern:
            picture = np.maximum(self.clamped, 0).reshape(1, *model.image_shape).astype(float)
            picture[0].flat[0] += 1e-6 if np.ptp(picture) == 0 else 0  # a constant picture has no scale
            values = shown_values(model, Images(picture, np.zeros(1, int), "drawing", ""))
            drawn = self.clamped != FREE
            condition = likely_conditions(self.shown.survey, model.computer, drawn, values)[0]
            self._guessed = pattern, int(condition)
        return self._guessed[1]

    # --- motion -------------------------------------------------------------------------------------------

    def advance(self, steps: int) -> None:
        """Advance by `steps` steps. The call ends at t_f, where the units are read; the next call continues.

        Raises DivergenceError for a dt that is too large; the states are then those before the divergence.
        """
        require(steps >= 0, f"steps = {steps}: give 0 or more")
        while steps > 0:
            segment, end = self._segment()
            now = min(steps, end - self.step) if end > self.step else steps
            self._run(segment, now)
            steps -= now
            if self.step == self.steps:
                self._read()
                break
        self._keep_frame()

    def _segment(self) -> tuple[int, int]:
        """The current segment, and the step at which it ends."""
        count = len(self._segments)
        segment = min(count - 1, self.step * count // self.steps)
        return segment, -(-self.steps * (segment + 1) // count)

    def _run(self, segment: int, steps: int) -> None:
        if segment != self._current:  # a change of the potential at constant state is work
            before, self._current = self._energy(), segment
            self._work = self._work + self._energy() - before
        x, first = self._motion.x, jnp.asarray(self.step)
        reading = self.steps - max(1, round(self.model.schedule.readout / self.dt))
        integrator, dt = named_integrator(self.integrator), jnp.asarray(self.dt, x.dtype)
        control, counts = self._segments[segment], (jnp.asarray(steps), jnp.asarray(reading))
        moved = engine.advance(self._keys, control, self._motion, first, *counts, dt, integrator)
        check_escape(
            self._keys, control, x, moved.x, steps=steps, dt=dt, integrator=integrator, first_step=first
        )
        self._motion = moved
        self._read_states += max(0, min(self.step + steps, self.steps) - max(self.step, reading))
        self.step += steps

    def _read(self) -> None:
        """The read-out at t_f and its classes."""
        visible = self.units.slice("visible")
        self.readout = np.asarray(self._motion.read[:, visible] / max(1, self._read_states))
        if self.classifier is not None and self.classifier.shape == self.model.image_shape:
            self.verdict = self.classifier.classify(self.readout).label

    # --- figures ------------------------------------------------------------------------------------------

    @property
    def x(self) -> Float[np.ndarray, "n N"]:
        """The states."""
        return np.asarray(self._motion.x)

    def picture(self) -> UInt8[np.ndarray, "n N"]:
        """The states as 256 levels from -scale to scale."""
        return levels(self.x, self.shown.scale)

    def ledger(self) -> EnergyBalance:
        """Energy, heat and work since the start, in kT of the model."""
        energies = self._energy() - self._start, self._motion.heat, self._work + self._motion.work
        kT = float(self.model.computer.kT)
        return EnergyBalance(*(np.asarray(energy, float) / kT for energy in energies))

    def look(self, sample: int, unit: int) -> tuple[Float[np.ndarray, " N"], dict[str, float]]:
        """The couplings J_j of a unit, (N,), and the forces on it now, in E0: own, bias, neighbours."""
        computer, x = self._segments[self._current].at(self.t), self.x[sample]
        row = np.array(engine.couplings_of(computer, jnp.asarray(unit), self._motion.x)[sample])
        bias = np.broadcast_to(np.asarray(computer.bias), self.x.shape)[sample, unit]
        slope = np.asarray(computer.own_slope(self._motion.x))[sample, unit]
        stiffness, row[unit] = float(row[unit]), 0.0  # summing nodes act on the unit itself
        own = -float(slope) - stiffness * float(x[unit])
        forces = {"own": own, "bias": -float(bias), "neighbours": -float(row @ x)}
        return row, {"x": float(x[unit]), **forces, "total": sum(forces.values())}

    # --- changes ------------------------------------------------------------------------------------------

    def set_dt(self, dt: float) -> None:
        """Another time step from now on, the nearest that divides t_f, with new noise."""
        t_f = self.model.schedule.t_f
        require(math.isfinite(dt) and 0 < dt <= t_f / 2, f"dt = {dt}: give a step above 0, at most t_f / 2")
        t, self.dt = self.t, t_f / max(2, round(t_f / dt))
        self.step = round(t / self.dt)
        self._changes += 1
        fresh = jax.random.fold_in(self._path_key, self._changes)
        self._keys = sample_keys(fresh, jnp.arange(self.count))

    def set_temperature(self, kT: float) -> None:
        """Another temperature of the bath from now on."""
        require(math.isfinite(kT) and kT > 0, f"kT = {kT}: give a positive number")
        self.kT = kT
        self._prepare()

    def set_integrator(self, name: str) -> None:
        """Another method from now on."""
        require(name in INTEGRATORS, f"unknown integrator {name!r}: choose one of {', '.join(INTEGRATORS)}")
        self.integrator = name

    def set_count(self, count: int) -> None:
        """Another number of samples, from the start; the common samples stay the same."""
        require(1 <= count <= MOST_SAMPLES, f"samples = {count}: give 1 to {MOST_SAMPLES}")
        self.count = count
        self.begin()

    def choose_class(self, label: int | None) -> None:
        """Start again with this class, or with all classes in turn if None."""
        labels = self.shown.labels
        known = label is None or label in labels
        require(known, f"digit {label} was not learnt: choose among {', '.join(map(str, labels))}")
        self.label = label
        self.begin()

    def clamp(self, drawing: Int[np.ndarray, " visible"]) -> None:
        """Clamp the drawn visible units from now on; the others move. A drawing of FREE releases all units.

        Setting a unit is work.
        """
        self._check_drawing(drawing)
        require(not (drawing != FREE).all(), "every unit is clamped: leave some free to move")
        self.clamped = np.array(drawing)
        self._move(*self._clamp_of())
        self._prepare()

    def place(self, drawing: Int[np.ndarray, " visible"]) -> None:
        """Set the drawn visible units to their levels once; they then move freely."""
        self._check_drawing(drawing)
        self._move(*self._states_of(drawing))

    def _check_drawing(self, drawing: np.ndarray) -> None:
        visible = self.units.visible
        require(drawing.shape == (visible,), f"a drawing of {drawing.size} units: give all {visible}")
        require(bool(((drawing >= FREE) & (drawing <= 255)).all()), "a level is out of range: give -1 to 255")

    def _states_of(self, drawing: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The units (N,) that a drawing sets, and their states (N,)."""
        drawn, states = np.zeros(self.units.total, bool), np.zeros(self.units.total, np.float32)
        visible = self.units.slice("visible")
        drawn[visible] = drawing != FREE
        states[visible] = self.shown.grey_levels.levels[np.clip(drawing, 0, 255)]
        return drawn, states

    def _clamp_of(self) -> tuple[np.ndarray, np.ndarray]:
        """The clamped units (N,), drawn or hidden, and their states (N,)."""
        clamped, states = self._states_of(self.clamped)
        pictures, labels = self.shown.grey_levels.hidden, self.shown.grey_levels.labels
        if (
            self.label is not None
            and pictures is not None
            and not isinstance(self.model.computer, ConditionSet)
        ):
            hidden = self.units.slice("hidden")
            clamped[hidden], states[hidden] = True, pictures[labels.index(self.label)]
        return clamped, states

    def _move(self, which: np.ndarray, states: np.ndarray) -> None:
        before = self._energy()
        self._motion = self._motion._replace(x=jnp.where(which, states, self._motion.x))
        self._work = self._work + self._energy() - before

    def _prepare(self) -> None:
        """The computers of the segments at this temperature; clamped units have mobility 0."""
        clamped, _ = self._clamp_of()
        control = self._control.map_reference(partial(engine.with_temperature, kT=self.kT))
        if clamped.any():
            control = Clamp(clamped, np.zeros((self.count, self.units.total), np.float32)).freeze(control)
        self._segments = engine.in_turn(control)
        self._current = self._segment()[0]

    def _energy(self) -> Array:
        x = self._motion.x
        return engine.energy(self._segments[self._current], x, jnp.asarray(self.t, x.dtype))

    def _keep_frame(self) -> None:
        if self._frames % self._film_every == 0:
            self.film.append(self.x[:, self.units.slice("visible")].astype(np.float16))
            if len(self.film) > _FILM:
                self.film, self._film_every = self.film[::2], 2 * self._film_every
        self._frames += 1

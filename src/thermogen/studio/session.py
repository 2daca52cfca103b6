"""One visitor: a simulation of their own, moved on between their commands, and what they are shown of it."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import numpy as np

from thermogen.data import Images, load_digits
from thermogen.errors import DivergenceError, InputError, require
from thermogen.langevin import INTEGRATORS
from thermogen.studio import outgoing as telling
from thermogen.studio import training
from thermogen.studio.downloads import FILES, File
from thermogen.studio.messages import Command
from thermogen.studio.models import Models
from thermogen.studio.shown_model import FREE, ShownModel
from thermogen.studio.simulation import Simulation

FRAMES_PER_SECOND = 30
SECONDS_A_RUN = 6.0
"""How long a run takes to watch at the pace that a model starts with."""
_PAUSE = 2.0  # seconds at t_f before noise is drawn again
_MOST_UNTIMED = 100.0  # steps of a frame until their time is known
_IN_FLIGHT = 3  # frames sent and not yet seen: a slow page gets fewer frames, never old ones

Send = Callable[[str | bytes], Awaitable[None]]


class Session:
    """All that one page shows and does. `run` lives as long as the page is open; nothing of it remains."""

    def __init__(self, shelf: Models, send: Send):
        self.token = secrets.token_urlsafe(16)
        self.commands: asyncio.Queue[Command | tuple[str, asyncio.Future[File | None]]] = asyncio.Queue(64)
        self._shelf, self._send = shelf, send
        self._trained: dict[str, ShownModel] = {}
        self._task: asyncio.Future[Any] | None = None
        self._wanted = True
        self._waiting: set[asyncio.Future[File | None]] = set()
        self._running, self._at_end = True, "again"
        self._sample: int = 0
        self._unit: int | None = None
        self._frame = self._seen = self._runs = 0
        self._again_at: float | None = None
        self._asked_to_stop = False

    async def run(self, first: str) -> None:
        """Show the model `first`, then do what is asked until cancelled."""
        try:
            await self._tell("hello", token=self.token, integrators=list(INTEGRATORS))
            await self._choose(first)
            await self._show()
            while True:
                await self._turn()
        finally:
            self._wanted = False
            for one in [*self._waiting]:
                if not one.done():
                    one.set_result(None)

    # --- the loop -----------------------------------------------------------------------------------------

    async def _turn(self) -> None:
        """Commands first, then, if it runs, the steps of one frame."""
        begun = time.perf_counter()
        while not self.commands.empty():
            await self._obey(self.commands.get_nowait())
        if not self._running or self._frame - self._seen >= _IN_FLIGHT:
            await self._obey(await self.commands.get())
            return
        if self._again_at is not None:
            await self._wait(self._again_at - begun)
            if self._again_at is not None and time.perf_counter() >= self._again_at:
                await self._begin(self._simulation.seed + 1)
            return
        steps_a_second = self._pace * self._simulation.steps / SECONDS_A_RUN
        self._due = min(self._due + steps_a_second / FRAMES_PER_SECOND, self._most)
        if self._due >= 1:
            steps, self._due = int(self._due), self._due % 1
            await self._advance(steps)
        await self._wait(begun + 1 / FRAMES_PER_SECOND - time.perf_counter())

    async def _wait(self, seconds: float) -> None:
        """Until the time is over, seeing frames acknowledged, or until a command was obeyed."""
        until = time.perf_counter() + seconds
        while (left := until - time.perf_counter()) > 0:
            try:
                async with asyncio.timeout(left):  # not wait_for, which can lose a cancellation (Python 3.11)
                    asked = await self.commands.get()
            except TimeoutError:
                return
            await self._obey(asked)
            if not isinstance(asked, Command) or asked.do != "seen":
                return

    async def _advance(self, steps: int) -> None:
        simulation, begun, at = self._simulation, time.perf_counter(), self._simulation.step
        try:
            await self._compute(lambda: simulation.advance(steps))
        except DivergenceError as error:
            self._running = False
            await self._tell("error", text=f"{error}; choose it, and start again")
            await self._settings()
            return
        # As many steps as leave time for twenty frames a second, whatever the pace asked for.
        each = (time.perf_counter() - begun) / max(1, simulation.step - at)
        self._most = 0.9 * self._most + 0.1 * max(1.0, 0.035 / each) if self._warm else self._most
        self._warm = True
        await self._show()
        if simulation.readout is not None and simulation.step == simulation.steps:
            await self._verdict()
            if self._at_end == "stop":
                self._running = False
                await self._settings()
            elif self._at_end == "again":
                self._again_at = time.perf_counter() + _PAUSE

    async def _compute(self, work: Callable[[], Any]) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._shelf.pool, work)

    # --- commands -----------------------------------------------------------------------------------------

    async def _obey(self, asked: Command | tuple[str, asyncio.Future[File | None]]) -> None:
        """Do one thing; what cannot be done changes nothing and is told in one line."""
        if not isinstance(asked, Command):
            await self._save(*asked)
            return
        do, given = asked
        if do == "seen":
            self._seen = max(self._seen, min(given["frame"], self._frame))
            return
        try:
            await getattr(self, f"_do_{do}")(**given)
        except InputError as error:
            await self._tell("error", text=str(error))
        await self._settings()

    async def _do_choose(self, model: str) -> None:
        await self._choose(model)
        await self._show()

    async def _do_run(self) -> None:
        if self._simulation.finished and self._at_end != "on":
            await self._begin(self._simulation.seed + 1)
        self._running = True

    async def _do_pause(self) -> None:
        self._running = False

    async def _do_step(self) -> None:
        self._running, self._again_at = False, None
        await self._advance(1)

    async def _do_restart(self, seed: int | None = None) -> None:
        await self._begin(self._simulation.seed + 1 if seed is None else seed)

    async def _do_pace(self, value: float) -> None:
        self._pace = value

    async def _do_temperature(self, value: float) -> None:
        await self._compute(lambda: self._simulation.set_temperature(value))

    async def _do_dt(self, value: float) -> None:
        self._simulation.set_dt(value)
        self._warm, self._most = False, _MOST_UNTIMED

    async def _do_integrator(self, value: str) -> None:
        self._simulation.set_integrator(value)
        self._warm = False

    async def _do_samples(self, value: int) -> None:
        self._sample = min(self._sample, value - 1)
        await self._begun(lambda: self._simulation.set_count(value))
        self._warm = False

    async def _do_at_end(self, value: str) -> None:
        self._at_end = value
        self._again_at = None
        if value == "again" and self._simulation.finished:
            self._again_at = time.perf_counter()

    async def _do_ask(self, label: int | None) -> None:
        await self._begun(lambda: self._simulation.ask(label))
        self._running = True

    async def _do_hold(self, drawing: np.ndarray) -> None:
        await self._compute(lambda: self._simulation.hold(drawing))
        if (drawing == FREE).all():
            await self._show()
            return
        await self._begin(self._simulation.seed + 1)
        self._running = True

    async def _do_place(self, drawing: np.ndarray) -> None:
        await self._compute(lambda: self._simulation.place(drawing))
        await self._show()

    async def _do_example(self, label: int, number: int) -> None:
        shape = self._simulation.loaded.model.image_shape
        digits = load_digits()
        require(digits.shape == shape, f"shipped digits are 28 x 28, the model {shape[0]} x {shape[1]}: draw")
        picture = digits.images[np.flatnonzero(digits.labels == label)[number]]
        await self._tell("example", levels=picture.astype(int).ravel().tolist())

    async def _do_select(self, sample: int, unit: int | None = None) -> None:
        require(sample < self._simulation.count, f"sample {sample}: there are {self._simulation.count}")
        total = self._simulation.units.total
        require(unit is None or unit < total, f"unit {unit}: choose 0 to {total - 1}")
        self._sample, self._unit = sample, unit
        await self._show()

    async def _do_train_digits(self, digits: tuple[int, ...]) -> None:
        self._train("digits " + " ".join(map(str, digits)), training.digit_images(digits))

    async def _do_train_drawings(self, drawings: np.ndarray) -> None:
        shape = self._simulation.loaded.model.image_shape
        require(
            drawings.shape[1] == shape[0] * shape[1],
            f"drawings of {drawings.shape[1]} units for images of {shape[0]} x {shape[1]}: draw anew",
        )
        self._train(f"{len(drawings)} drawings", training.drawn_images(drawings, shape))

    async def _do_stop_training(self) -> None:
        if self._task is None:
            await self._tell("notice", text="Nothing is being trained.")
        self._asked_to_stop = True

    def _train(self, name: str, images: Images) -> None:
        require(self._task is None, "a training is going on: wait for it, or stop it")
        self._asked_to_stop = False
        self._task = asyncio.ensure_future(self._training(name, images))

    async def _training(self, name: str, images: Images) -> None:
        loop = asyncio.get_running_loop()

        def wanted() -> bool:
            return self._wanted and not self._asked_to_stop

        def progress(percent: int, note: str) -> None:
            asyncio.run_coroutine_threadsafe(self._tell("training", percent=percent, note=note), loop)

        def work() -> ShownModel:
            with self._shelf.training:
                return ShownModel.of(name, training.train(images, progress, wanted))

        await self._tell("training", percent=0, note="waiting for its turn")
        begun = time.perf_counter()
        try:
            self._trained[name] = await loop.run_in_executor(None, work)
        except training.Stopped:
            await self._tell("training", percent=None, note="The training was stopped.")
            return
        except InputError as error:
            await self._tell("training", percent=None, note="")
            await self._tell("error", text=str(error))
            return
        finally:
            self._task = None
        seconds = time.perf_counter() - begun
        await self._tell("training", percent=None, note=f"Trained on {name} in {seconds:.1f} s.")
        await self.commands.put(Command("choose", {"model": name}))

    # --- runs ---------------------------------------------------------------------------------------------

    async def _choose(self, name: str) -> None:
        known = [*self._shelf.models, *self._trained]
        require(name in known, f"unknown model {name[:60]!r}: choose one of {', '.join(known)}")
        await self._tell("notice", text=f"Preparing {name}: compiling takes a few seconds.")

        def prepare() -> Simulation:
            loaded = self._trained.get(name) or self._shelf.load(name)
            made = Simulation(loaded, self._shelf.classifier)
            made.advance(1)  # compiles
            made.begin()
            return made

        self._simulation = await self._compute(prepare)
        self._sample, self._unit, self._running, self._again_at = 0, None, True, None
        self._pace, self._warm, self._due, self._most = 1.0, False, 0.0, _MOST_UNTIMED
        await self._model()
        await self._anew()
        await self._settings()
        await self._tell("notice", text="")

    async def _begin(self, seed: int) -> None:
        await self._begun(lambda: self._simulation.begin(seed % 2**32))

    async def _begun(self, work: Callable[[], None]) -> None:
        if (self._simulation.held != FREE).any() and self._simulation.label is None:
            await self._tell("notice", text="Looking for what the held units suggest.")
        await self._compute(work)
        await self._tell("notice", text="")
        await self._anew()
        await self._show()

    async def _anew(self) -> None:
        self._again_at, self._due, self._runs = None, 0.0, self._runs + 1
        await self._tell("begun", run=self._runs, seed=self._simulation.seed)

    # --- what is told -------------------------------------------------------------------------------------

    async def tell_error(self, text: str) -> None:
        """Say what was wrong with a message that changes nothing."""
        await self._tell("error", text=text)

    async def _tell(self, kind: str, **said: Any) -> None:
        await self._send(json.dumps({"kind": kind, **said}))

    async def _model(self) -> None:
        names = [*self._shelf.models, *self._trained]
        await self._tell("model", **telling.model(self._simulation.loaded, names))

    async def _settings(self) -> None:
        simulation = self._simulation
        await self._tell(
            "settings",
            running=self._running,
            pace=self._pace,
            temperature=simulation.kT,
            dt=simulation.dt,
            integrator=simulation.integrator,
            samples=simulation.count,
            at_end=self._at_end,
            label=simulation.label,
            seed=simulation.seed,
            held=int((simulation.held != FREE).sum()),
            sample=self._sample,
            unit=self._unit,
        )

    async def _show(self) -> None:
        self._frame += 1
        work = partial(telling.frame, self._simulation, self._frame, self._sample, self._unit)
        await self._send(await self._compute(work))

    async def _verdict(self) -> None:
        await self._tell("verdict", run=self._runs, **telling.verdict(self._simulation))

    # --- files --------------------------------------------------------------------------------------------

    async def file(self, name: str) -> File | None:
        """A file of the run as it is at the next moment between two frames; None if the page is closed."""
        wanted: asyncio.Future[File | None] = asyncio.get_running_loop().create_future()
        if not self._wanted:
            return None
        self._waiting.add(wanted)
        wanted.add_done_callback(self._waiting.discard)
        await self.commands.put((name, wanted))
        return await wanted

    async def _save(self, name: str, wanted: asyncio.Future[File | None]) -> None:
        found = await self._compute(lambda: FILES[name](self._simulation))
        if not wanted.done():
            wanted.set_result(found)

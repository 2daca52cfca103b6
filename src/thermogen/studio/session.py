"""The session of one visitor: a simulation that advances between commands, and the messages to the page."""

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
from thermogen.studio import outgoing, training
from thermogen.studio.downloads import FILES, File
from thermogen.studio.messages import Command
from thermogen.studio.models import Models
from thermogen.studio.shown_model import FREE, ShownModel
from thermogen.studio.simulation import Simulation

FRAMES_PER_SECOND = 30
SECONDS_A_RUN = 6.0
"""Duration of a run on the page at the initial pace."""
_PAUSE = 2.0  # seconds at t_f before the next run
_MOST_UNTIMED = 100.0  # steps of a frame until their time is known
_IN_FLIGHT = 3  # frames sent and not yet acknowledged: a slow page gets fewer frames, not old ones

Send = Callable[[str | bytes], Awaitable[None]]


class Session:
    """All that one page shows and does. `run` ends when the page closes; nothing of it is kept."""

    def __init__(self, models: Models, send: Send):
        self.token = secrets.token_urlsafe(16)
        self.commands: asyncio.Queue[Command | tuple[str, asyncio.Future[File | None]]] = asyncio.Queue(64)
        self._models, self._send = models, send
        self._trained: dict[str, ShownModel] = {}
        self._task: asyncio.Future[Any] | None = None
        self._wanted = True
        self._waiting: set[asyncio.Future[File | None]] = set()
        self._running, self._at_end = True, "again"
        self._sample: int = 0
        self._unit: int | None = None
        self._frame = self._seen = self._runs = 0
        self._again_at: float | None = None
        self._stop = False

    async def run(self, first: str) -> None:
        """Show the model `first`, then obey commands until cancelled."""
        try:
            await self._tell("hello", token=self.token, integrators=list(INTEGRATORS))
            await self._do_choose(first)
            while True:
                await self._turn()
        finally:
            self._wanted = False
            for file in [*self._waiting]:
                if not file.done():
                    file.set_result(None)

    # --- the loop -----------------------------------------------------------------------------------------

    async def _turn(self) -> None:
        """Obey commands, then, in a running simulation, advance by the steps of one frame."""
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
        """Wait, accepting acknowledgements of frames, until the time is over or a command was obeyed."""
        until = time.perf_counter() + seconds
        while (left := until - time.perf_counter()) > 0:
            try:
                async with asyncio.timeout(left):  # not wait_for, which can lose a cancellation (Python 3.11)
                    request = await self.commands.get()
            except TimeoutError:
                return
            await self._obey(request)
            if not isinstance(request, Command) or request.do != "seen":
                return

    async def _advance(self, steps: int) -> None:
        simulation, begun, first = self._simulation, time.perf_counter(), self._simulation.step
        try:
            await self._compute(lambda: simulation.advance(steps))
        except DivergenceError as error:
            self._running = False
            await self._tell("error", text=f"{error}; choose it, and start again")
            await self._settings()
            return
        # At any pace, few enough steps for twenty frames a second.
        if self._warm:
            steps_in_time = 0.035 * max(1, simulation.step - first) / (time.perf_counter() - begun)
            self._most = 0.9 * self._most + 0.1 * max(1.0, steps_in_time)
        self._warm = True
        await self._show()
        if simulation.readout is not None and simulation.step == simulation.steps:
            await self._tell("verdict", run=self._runs, **outgoing.verdict(simulation))
            if self._at_end == "stop":
                self._running = False
                await self._settings()
            elif self._at_end == "again":
                self._again_at = time.perf_counter() + _PAUSE

    async def _compute(self, work: Callable[[], Any]) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._models.pool, work)

    # --- commands -----------------------------------------------------------------------------------------

    async def _obey(self, request: Command | tuple[str, asyncio.Future[File | None]]) -> None:
        """Obey a command. One that is refused changes nothing and is answered by an error in one line."""
        if not isinstance(request, Command):
            name, wanted = request
            file = await self._compute(lambda: FILES[name](self._simulation))
            if not wanted.done():
                wanted.set_result(file)
            return
        do, given = request
        if do == "seen":
            self._seen = max(self._seen, min(given["frame"], self._frame))
            return
        try:
            await getattr(self, f"_do_{do}")(**given)
        except InputError as error:
            await self._tell("error", text=str(error))
        await self._settings()

    async def _do_choose(self, model: str) -> None:
        names = [*self._models.models, *self._trained]
        require(model in names, f"unknown model {model[:60]!r}: choose one of {', '.join(names)}")
        await self._tell("notice", text=f"Preparing {model}: compiling takes a few seconds.")

        def prepare() -> Simulation:
            shown = self._trained.get(model) or self._models.load(model)
            simulation = Simulation(shown, self._models.classifier)
            simulation.advance(1)  # compiles
            simulation.begin()
            return simulation

        self._simulation = await self._compute(prepare)
        self._sample, self._unit, self._running, self._again_at = 0, None, True, None
        self._pace, self._warm, self._due, self._most = 1.0, False, 0.0, _MOST_UNTIMED
        await self._tell("model", **outgoing.model(self._simulation.shown, names))
        await self._new_run()
        await self._settings()
        await self._tell("notice", text="")
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
        now = value == "again" and self._simulation.finished
        self._again_at = time.perf_counter() if now else None

    async def _do_ask(self, label: int | None) -> None:
        await self._begun(lambda: self._simulation.choose_class(label))
        self._running = True

    async def _do_hold(self, drawing: np.ndarray) -> None:
        await self._compute(lambda: self._simulation.clamp(drawing))
        if (drawing == FREE).all():
            await self._show()
            return
        await self._begin(self._simulation.seed + 1)
        self._running = True

    async def _do_place(self, drawing: np.ndarray) -> None:
        await self._compute(lambda: self._simulation.place(drawing))
        await self._show()

    async def _do_example(self, label: int, number: int) -> None:
        shape = self._simulation.model.image_shape
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
        shape = self._simulation.model.image_shape
        require(
            drawings.shape[1] == shape[0] * shape[1],
            f"drawings of {drawings.shape[1]} units for images of {shape[0]} x {shape[1]}: draw anew",
        )
        self._train(f"{len(drawings)} drawings", training.drawn_images(drawings, shape))

    async def _do_stop_training(self) -> None:
        if self._task is None:
            await self._tell("notice", text="No training is running.")
        self._stop = True

    def _train(self, name: str, images: Images) -> None:
        require(self._task is None, "a training is running: wait for it, or stop it")
        self._stop = False
        self._task = asyncio.ensure_future(self._training(name, images))

    async def _training(self, name: str, images: Images) -> None:
        loop = asyncio.get_running_loop()

        def wanted() -> bool:
            return self._wanted and not self._stop

        def progress(percent: int, note: str) -> None:
            asyncio.run_coroutine_threadsafe(self._tell("training", percent=percent, note=note), loop)

        def work() -> ShownModel:
            with self._models.training:
                return ShownModel.of(name, training.train(images, progress, wanted))

        await self._tell("training", percent=0, note="waiting for another training")
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

    async def _begin(self, seed: int) -> None:
        await self._begun(lambda: self._simulation.begin(seed % 2**32))

    async def _begun(self, work: Callable[[], None]) -> None:
        if (self._simulation.clamped != FREE).any() and self._simulation.label is None:
            await self._tell("notice", text="Inferring the class from the clamped units.")
        await self._compute(work)
        await self._tell("notice", text="")
        await self._new_run()
        await self._show()

    async def _new_run(self) -> None:
        self._again_at, self._due, self._runs = None, 0.0, self._runs + 1
        await self._tell("begun", run=self._runs, seed=self._simulation.seed)

    # --- messages -----------------------------------------------------------------------------------------

    async def tell_error(self, text: str) -> None:
        """Report an invalid message, which changes nothing."""
        await self._tell("error", text=text)

    async def _tell(self, kind: str, **content: Any) -> None:
        await self._send(json.dumps({"kind": kind, **content}))

    async def _settings(self) -> None:
        simulation = self._simulation
        same = {name: getattr(simulation, name) for name in ("dt", "integrator", "label", "seed")}
        await self._tell(
            "settings",
            **same,
            running=self._running,
            pace=self._pace,
            temperature=simulation.kT,
            samples=simulation.count,
            at_end=self._at_end,
            held=int((simulation.clamped != FREE).sum()),
            sample=self._sample,
            unit=self._unit,
        )

    async def _show(self) -> None:
        self._frame += 1
        work = partial(outgoing.frame, self._simulation, self._frame, self._sample, self._unit)
        await self._send(await self._compute(work))

    # --- files --------------------------------------------------------------------------------------------

    async def file(self, name: str) -> File | None:
        """A file of the run, made between two frames; None if the page is closed."""
        wanted: asyncio.Future[File | None] = asyncio.get_running_loop().create_future()
        if not self._wanted:
            return None
        self._waiting.add(wanted)
        wanted.add_done_callback(self._waiting.discard)
        await self.commands.put((name, wanted))
        return await wanted

"""The main job: train, generate, measure, and compare every published figure with our own."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from thermogen.computer import Computer
from thermogen.control import Segments
from thermogen.errors import InputError, require
from thermogen.generation import BATCH, Samples, generate
from thermogen.langevin import Snapshots, named_integrator, simulate
from thermogen.noising import RampedField, Schedule, noising_start
from thermogen.parallel import first, is_first
from thermogen.report.page import write_report
from thermogen.report.record import RunRecord
from thermogen.seeds import stream
from thermogen.storage.model import versions
from thermogen.storage.run_folder import RunFolder
from thermogen.studies.experiment import Experiment, fingerprint, prepare
from thermogen.studies.measures import PUBLISHED, loss_measures, ratio_measures, sample_measures
from thermogen.studies.progress import Stage, silent
from thermogen.studies.settings import Settings
from thermogen.studies.time_step import at_step
from thermogen.thermodynamics import noising_path_ratio
from thermogen.training import VALIDATION_PATHS, TrainingResult

OUTPUTS = ("report.html", "samples.npz", "samples.gif", "figures", "model")


@dataclass(frozen=True)
class Measures:
    """What is measured: number of samples and of noising paths, and how to integrate.

    generation_dt: time step of generation, see `at_step`.
    """

    samples: int = 1000
    paths: int = 30
    integrator: str = "euler"
    generation_dt: str | float | None = None
    batch: int = BATCH

    def __post_init__(self) -> None:
        """Refuse counts that measure nothing."""
        require(self.samples >= 1, f"samples = {self.samples}: ask for 1 sample or more")
        require(self.paths >= 1, f"paths = {self.paths}: ask for 1 noising path or more")
        require(self.batch >= 1, f"batch = {self.batch}: give 1 sample or more")
        named_integrator(self.integrator)


def reproduce(
    settings: Settings,
    measures: Measures,
    out: Path,
    *,
    second_trainer: str | None = None,
    resume: bool = False,
    force: bool = False,
    stage: Stage = silent,
) -> dict[str, Any]:
    """Run the whole job into the folder `out` and return the content of its results.json.

    Trains, generates, measures the path ratio, writes report.html, results.json, samples.npz, samples.gif,
    figures/ and model/. Interrupted at any moment, the same call with `resume` goes on from the last
    checkpoint and ends with the same numbers. An older run in `out` is kept unless `force`.

    `second_trainer`: with its own defaults, on the same images and units, it trains and draws as many
    samples, and the report compares the two.

    Raises InputError for settings that cannot be used and for a folder in the way.
    """
    experiment = prepare(settings)
    other = None if second_trainer is None else prepare(settings_beside(settings, second_trainer))
    identity = {**fingerprint(experiment), **asdict(measures), "version": versions()["thermogen"]}
    if other is not None:
        identity["second_trainer"] = fingerprint(other)
    folder = RunFolder(out, identity, OUTPUTS)
    finished = folder.claim(resume=resume, force=force)
    if finished is not None:
        return finished
    try:
        with folder.clock("train"):
            result = experiment.train(folder.work / "training.safetensors", stage)
        computer = result.computer
        assert isinstance(computer, Computer | Segments)
        with folder.clock("sample"):
            samples, schedule = _sample(experiment, result, measures, folder.work / "samples", stage)
        second = trained = second_schedule = None
        if other is not None:
            with folder.clock("train beside"):
                trained = other.train(folder.work / "beside.safetensors", stage)
            with folder.clock("sample beside"):
                second, second_schedule = _sample(
                    other, trained, measures, folder.work / "samples beside", stage
                )

        def measured() -> dict[str, Any]:
            with stage("path ratio", measures.paths) as tick:
                return ratio_measures(
                    noising_path_ratio(
                        stream(settings.seed, "path ratio"),
                        computer,
                        experiment.fields,
                        measures.paths,
                        experiment.schedule,
                        progress=lambda done, _: tick(done, ""),
                    )
                )

        with folder.clock("path"):
            ratio = first("the path ratio", measured)
    except InputError:
        if not folder.progress_made():  # a run that could not start leaves nothing behind
            folder.clear()
        raise
    prototypes, labels = experiment.images.standardised(), experiment.images.labels.tolist()
    results = {
        "loss": loss_measures(
            result.loss, result.validation, experiment.computer.units.total, VALIDATION_PATHS
        ),
        **sample_measures(samples, prototypes, labels, result.computer, schedule),
        "path_ratio": ratio,
        "published": PUBLISHED,
        "seconds": folder.seconds(),
        "settings": {**asdict(settings), **asdict(measures), "generation_dt": schedule.dt},
        "exact": result.exact,
        "versions": versions(),
    }
    if other and trained and second and second_schedule:
        results["beside"] = {
            **sample_measures(second, prototypes, labels, trained.computer, second_schedule),
            "validation": loss_measures(
                trained.loss, trained.validation, experiment.computer.units.total, VALIDATION_PATHS
            )["validation"],
            "settings": asdict(other.settings),
        }
    if is_first():
        with folder.clock("report"), stage("report", 1) as tick:
            _write(out, experiment, result, samples, results, second)
            tick(1, "")
    results["seconds"] = folder.seconds()
    folder.finish(results)
    return results


def settings_beside(settings: Settings, trainer: str) -> Settings:
    """The defaults of another trainer on the same images and units."""
    shared = (
        "digits", "images", "cycles", "hidden", "output", "topology", "couplings", "kT", "t_f", "dt", "seed",
    )  # fmt: skip
    require(trainer != settings.trainer, f"second_trainer = {trainer!r} is the first one too: name another")
    return Settings.of(trainer, **{name: getattr(settings, name) for name in shared})


def _sample(
    experiment: Experiment, result: TrainingResult, measures: Measures, checkpoint: Path, stage: Stage
) -> tuple[Samples, Schedule]:
    """The samples of a trained computer, and the schedule by which they came."""
    method = named_integrator(measures.integrator)
    model = at_step(experiment.model(result), measures.generation_dt, experiment.settings.seed, method)
    with stage("generating", measures.samples) as tick:
        samples = generate(
            stream(experiment.settings.seed, "generation"),
            result.computer,
            measures.samples,
            model.schedule,
            integrator=method,
            batch=measures.batch,
            checkpoint=checkpoint,
            progress=lambda done, total: tick(done * measures.samples // total, ""),
        )
    return samples, model.schedule


def noising_film(experiment: Experiment, frames: int = 10) -> tuple[np.ndarray, np.ndarray]:
    """Visible states along one noising trajectory per image, (frames + 1, P, pixels), and their times."""
    schedule, count = experiment.schedule, len(experiment.fields)
    control = RampedField(experiment.computer.uncoupled(), experiment.fields, schedule)
    start_key, path_key = jax.random.split(stream(experiment.settings.seed, "path ratio"))
    every = max(1, schedule.steps // frames)
    film = simulate(
        path_key,
        control,
        noising_start(start_key, control.reference, control.field, jnp.arange(count)),
        steps=schedule.steps,
        dt=schedule.dt,
        observers={"film": Snapshots()},
        every=every,
    ).records["film"]
    times = every * schedule.dt * np.arange(len(film))
    return np.asarray(film[..., experiment.computer.units.slice("visible")]), times


def connection_fields(experiment: Experiment, result: TrainingResult, count: int = 32) -> np.ndarray:
    """Couplings to the visible units, (count, pixels), of the hidden units with the strongest ones."""
    units = experiment.computer.units
    matrix = np.asarray(result.computer.computers()[-1].couplings.matrix())
    matrix = matrix[units.slice("hidden"), units.slice("visible")]
    strongest = np.argsort(-np.linalg.norm(matrix, axis=1), kind="stable")[:count]
    return matrix[np.sort(strongest)]


def _write(
    out: Path,
    experiment: Experiment,
    result: TrainingResult,
    samples: Samples,
    results: dict[str, Any],
    second: Samples | None,
) -> None:
    np.savez_compressed(
        out / "samples.npz", visible=samples.visible, heat_kT=samples.heat_kT, work_kT=samples.work_kT
    )
    figures = {name: results[name] for name in ("heat_kT", "work_kT", "prototype_correlation")}
    experiment.model(result, figures).save_pretrained(out / "model", force=True)
    film, times = noising_film(experiment)
    record = RunRecord(
        results=results,
        image_shape=experiment.images.shape,
        labels=experiment.images.labels.tolist(),
        prototypes=experiment.images.standardised(),
        noising_film=film,
        noising_times=times,
        loss=result.loss,
        validation=result.validation,
        samples=samples,
        connection_fields=connection_fields(experiment, result),
        beside=second,
    )
    write_report(out, record)

"""The main job: train, generate, measure, and compare the figures with the published ones."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

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
    """Number of samples and of noising paths, and the method. generation_dt: see `at_step`."""

    samples: int = 1000
    paths: int = 30
    integrator: str = "euler"
    generation_dt: str | float | None = None
    batch: int = BATCH

    def __post_init__(self) -> None:
        """Refuse counts below 1 and an unknown integrator."""
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
    figures/ and model/. After an interruption, the same call with `resume` continues from the last
    checkpoint and ends with the same numbers. An older run in `out` is kept unless `force`.

    second_trainer: trained with its own defaults on the same images and units; it generates as many samples,
    and the report compares the two (`second` in the results).

    Raises InputError for settings that cannot be used and for a folder in the way.
    """
    experiments = [prepare(settings)]
    if second_trainer is not None:
        experiments.append(prepare(settings_second(settings, second_trainer)))
    experiment = experiments[0]
    identity = {**fingerprint(experiment), **asdict(measures), "version": versions()["thermogen"]}
    if second_trainer is not None:
        identity["second_trainer"] = fingerprint(experiments[1])
    folder = RunFolder(out, identity, OUTPUTS)
    finished = folder.claim(resume=resume, force=force)
    if finished is not None:
        return finished

    def path_ratio() -> dict[str, Any]:
        assert isinstance(computer, Computer | Segments)
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

    try:
        generators = [
            _generate(experiment, measures, folder, name, stage)
            for experiment, name in zip(experiments, ("", " second"), strict=False)
        ]
        first_generator, *second = generators
        computer = first_generator.training.computer
        with folder.clock("path"):
            ratio = first("the path ratio", path_ratio)
    except InputError:
        if not folder.progress_made():  # a run that could not start leaves nothing behind
            folder.clear()
        raise
    results = {
        **first_generator.figures(),
        "path_ratio": ratio,
        "published": PUBLISHED,
        "seconds": folder.seconds(),
        "settings": {**asdict(settings), **asdict(measures), "generation_dt": first_generator.schedule.dt},
        "exact": first_generator.training.exact,
        "versions": versions(),
    }
    for generator in second:
        figures = generator.figures()
        validation = figures.pop("loss")["validation"]
        settings_of_second = asdict(generator.experiment.settings)
        results["second"] = {**figures, "validation": validation, "settings": settings_of_second}
    if is_first():
        with folder.clock("report"), stage("report", 1) as tick:
            _write(out, results, *generators)
            tick(1, "")
    results["seconds"] = folder.seconds()
    folder.finish(results)
    return results


def settings_second(settings: Settings, trainer: str) -> Settings:
    """The defaults of another trainer on the same images and units."""
    shared = (
        "digits", "images", "cycles", "hidden", "output", "topology", "couplings", "kT", "t_f", "dt", "seed",
    )  # fmt: skip
    require(trainer != settings.trainer, f"second_trainer = {trainer!r} is the first one too: name another")
    return Settings.of(trainer, **{name: getattr(settings, name) for name in shared})


class _Generator(NamedTuple):
    """A trained computer, its samples, and the schedule of their generation."""

    experiment: Experiment
    training: TrainingResult
    samples: Samples
    schedule: Schedule

    def figures(self) -> dict[str, Any]:
        """Loss and sample measures; prototypes are the images of the experiment."""
        images, result = self.experiment.images, self.training
        units = self.experiment.computer.units.total
        return {
            "loss": loss_measures(result.loss, result.validation, units, VALIDATION_PATHS),
            **sample_measures(
                self.samples, images.standardised(), images.labels.tolist(), result.computer, self.schedule
            ),
        }


def _generate(
    experiment: Experiment, measures: Measures, folder: RunFolder, name: str, stage: Stage
) -> _Generator:
    with folder.clock(f"train{name}"):
        result = experiment.train(folder.work / f"training{name}.safetensors", stage)
    method = named_integrator(measures.integrator)
    with folder.clock(f"sample{name}"):
        model = at_step(experiment.model(result), measures.generation_dt, experiment.settings.seed, method)
        with stage("generating", measures.samples) as tick:
            samples = generate(
                stream(experiment.settings.seed, "generation"),
                result.computer,
                measures.samples,
                model.schedule,
                integrator=method,
                batch=measures.batch,
                checkpoint=folder.work / f"samples{name}",
                progress=lambda done, total: tick(done * measures.samples // total, ""),
            )
    return _Generator(experiment, result, samples, model.schedule)


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
    out: Path, results: dict[str, Any], generator: _Generator, second: _Generator | None = None
) -> None:
    experiment, result, samples, _ = generator
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
        second=None if second is None else second.samples,
    )
    write_report(out, record)

"""Tolerance of a trained computer: sweeps of one imperfection over several devices."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from thermogen.control import ConditionSet, Control
from thermogen.errors import DivergenceError, InputError, require
from thermogen.hardware.imperfect.device import make_device
from thermogen.hardware.imperfect.imperfections import Imperfections
from thermogen.hardware.imperfect.run import DeviceSamples, run_device
from thermogen.noising import Schedule
from thermogen.parallel import jobs
from thermogen.quality import Reference, prototype_scores
from thermogen.quality.measures import entropy
from thermogen.seeds import check_seed, stream
from thermogen.storage.arrays import digest
from thermogen.storage.cache import ResultCache
from thermogen.storage.model import Model, versions
from thermogen.studies.evaluation import brief
from thermogen.studies.measures import interval
from thermogen.studies.progress import Stage, silent


class SweptImperfection(NamedTuple):
    """An imperfection in a sweep: label, unit, default values, and which end is worse.

    scale: default values are in thermal widths sqrt(kT / 2 J2) ('width') or in sqrt(kT) E0 ('force').
    """

    label: str
    unit: str
    values: tuple[float, ...]
    more_is_worse: bool = True
    scale: str = ""


_WIDTHS = (0.5, 1.0, 2.0, 4.0, 8.0)
SWEPT: dict[str, SweptImperfection] = {
    "bits": SweptImperfection("bits a coupling", "", (2, 3, 4, 5, 6, 8), False),
    "bias_bits": SweptImperfection("bits a bias", "", (2, 3, 4, 5, 6, 8), False),
    "coupling_limit": SweptImperfection("coupling limit", "of the largest", (0.1, 0.3, 0.5, 0.7, 0.9), False),
    "coupling_error": SweptImperfection("error of couplers", "relative", (0.05, 0.1, 0.2, 0.4, 0.8)),
    "asymmetry": SweptImperfection("asymmetry", "relative", (0.05, 0.1, 0.2, 0.4, 0.8)),
    "dead": SweptImperfection("dead couplers", "share", (0.01, 0.03, 0.1, 0.2, 0.4)),
    "linear_range": SweptImperfection("linear range", "x", _WIDTHS, False, "width"),
    "mismatch_J2": SweptImperfection("mismatch of $J_2$", "relative", (0.05, 0.1, 0.2, 0.4, 0.8)),
    "mismatch_J4": SweptImperfection("mismatch of $J_4$", "relative", (0.05, 0.1, 0.2, 0.4, 0.8)),
    "mismatch_mobility": SweptImperfection("mismatch of mobility", "relative", (0.05, 0.1, 0.2, 0.4, 0.8)),
    "offset": SweptImperfection("offset of units", "$E_0$", (0.1, 0.3, 1.0, 3.0, 10.0), True, "force"),
    "temperature_gradient": SweptImperfection("temperature gradient", "relative", (0.1, 0.3, 0.5, 0.7, 0.9)),
    "excess_noise": SweptImperfection("excess noise", "of thermal", (0.1, 0.3, 1.0, 3.0, 10.0)),
    "noise_time": SweptImperfection("correlated noise", r"$1/\mu E_0$", (0.01, 0.03, 0.1, 0.3, 1.0)),
    "readout_noise": SweptImperfection("read-out noise", "x", _WIDTHS, True, "width"),
    "readout_time": SweptImperfection("read-out time", r"$1/\mu E_0$", (0.03, 0.1, 0.3, 1.0, 3.0)),
    "switching_time": SweptImperfection("switching time", r"$1/\mu E_0$", (0.03, 0.1, 0.3, 1.0, 3.0)),
}
"""All imperfections that can be swept, in the order of tables and figures."""


def default_values(name: str, control: Control) -> list[float]:
    """Default values of an imperfection for these units; InputError for an unknown name."""
    imperfection = swept_imperfection(name)
    kT = float(control.kT)
    J2 = abs(float(np.mean(control.uncoupled().J2)))
    unit = {"": 1.0, "width": math.sqrt(kT / (2 * J2 + kT)), "force": math.sqrt(kT)}[imperfection.scale]
    return [float(f"{value * unit:.2g}") for value in imperfection.values]


def swept_imperfection(name: str) -> SweptImperfection:
    """The imperfection of that name; InputError for an unknown one."""
    if name not in SWEPT:
        raise InputError(f"unknown imperfection {name!r}: choose among {', '.join(SWEPT)}")
    return SWEPT[name]


class _Measures(NamedTuple):
    """The measure of quality, a second measure, the identity of the classifier, and how to compute both."""

    quality: str
    second: str
    identity: dict[str, Any]
    figures: Callable[[DeviceSamples, Model], dict[str, float]]


def _measures_of(model: Model, reference: Reference | None) -> _Measures:
    if isinstance(model.computer, ConditionSet):
        if reference is None:
            raise InputError("this model generates a requested class: give images to evaluate its samples")

        def classified(samples: DeviceSamples, model: Model) -> dict[str, float]:
            return brief(samples.visible, reference, np.asarray(samples.labels))

        identity = {"classifier": reference.classifier.sha256, "held_out": len(reference.held_out)}
        return _Measures("accuracy", "frechet", identity, classified)
    if model.prototypes is None:
        raise InputError(
            f"the model learnt {model.data.get('prototypes')} images and stores none to evaluate with: train "
            "with fewer, or in modes"
        )

    def correlated(samples: DeviceSamples, model: Model) -> dict[str, float]:
        assert model.prototypes is not None
        scores, kinds = prototype_scores(samples.visible, model.prototypes), len(model.prototypes)
        balance = entropy(scores.nearest, kinds) / math.log(kinds) if kinds > 1 else 1.0
        return {"correlation": float(scores.best.mean()), "balance": balance}

    return _Measures("correlation", "balance", {}, correlated)


@dataclass(frozen=True)
class _Devices:
    """The devices of a sweep: device d has model d mod their number, with its schedule."""

    models: Sequence[Model]
    schedules: Sequence[Schedule]
    weights: Sequence[str]
    measures: _Measures
    count: int
    seed: int

    def place(self, imperfections: Imperfections, device: int) -> tuple[str, dict[str, Any]]:
        """Name and identity of the figures of a device in the cache."""
        number = device % len(self.models)
        words = "-".join(f"{name}-{value:g}" for name, value in imperfections.present().items()) or "perfect"
        return f"{words[:80]}-device-{device}", {
            "imperfections": asdict(imperfections),
            "device": device,
            "seed": self.seed,
            "count": self.count,
            "schedule": asdict(self.schedules[number]),
            "weights": self.weights[number],
            "measures": self.measures.identity,
            "thermogen": versions()["thermogen"],
        }

    def figures(self, imperfections: Imperfections, device: int) -> dict[str, float]:
        """Figures of one device; a device that diverges twice is `diverged`."""
        number = device % len(self.models)
        model, schedule = self.models[number], self.schedules[number]
        build, noise = (
            jax.random.fold_in(stream(self.seed, use), device) for use in ("device", "device noise")
        )
        built = make_device(build, model.computer, imperfections, image_shape=model.image_shape)
        for finer in ({}, {"dt": schedule.dt / 10}):  # some unit can be too fast for the step
            try:
                samples = run_device(noise, built, self.count, replace(schedule, **finer))
            except DivergenceError:
                continue
            return {
                **finer,
                **self.measures.figures(samples, model),
                "heat_kT": float(samples.heat_kT.mean(dtype=float)),
                "work_kT": float(samples.work_kT.mean(dtype=float)),
            }
        return {self.measures.quality: 0.0, "diverged": 1.0}


def sweep(
    model: Model | Sequence[Model],
    name: str,
    values: Sequence[float] | None = None,
    *,
    devices: int = 5,
    count: int = 100,
    seed: int = 0,
    dt: float | None = None,
    base: Imperfections | None = None,
    reference: Reference | None = None,
    folder: Path | None = None,
    stage: Stage = silent,
) -> dict[str, Any]:
    """Quality and heat of independent devices at every value of one imperfection.

        model       one, or several: device d has number d (mod their number)
        values      of the imperfection; `default_values` if None
        devices     number of devices; device d comes from (seed, d), with more or less of the same errors
        count       samples of a device, with the noise of the perfect device d: changes are paired
        base        imperfections that every device also has
        reference   images and classifier, for controls with conditions
        folder      where the figures of every finished device are kept

    Quality is the mean correlation with the nearest prototype, and the second measure is the `balance`: the
    entropy of the counts of prototypes, 1 for equal counts. For controls with conditions quality is the
    `accuracy`, the share of samples of the requested class by the classifier of `reference`, and the second
    measure is the Fréchet distance `frechet` (biased upwards for few samples: compare within one count).

    Returns the names `measure` and `second`; `perfect` and `rows`: for each value intervals over devices
    (`studies.measures.interval`) of `quality`, `second`, `heat_kT`, `work_kT`, and relative to the perfect
    device of `quality_share`, `second_share` (Fréchet: perfect over measured) and `heat_ratio`, with the
    figures of every device in `runs`; `tolerated`: of both measures, the value that keeps 95 %, and whether
    they are lost within the values, never or everywhere. A device that diverges runs with dt / 10 (noise of
    its own); if it diverges again, it has quality 0 and no other figure. Processes share the devices.
    Raises InputError for an unknown imperfection, a value it cannot have, fewer than 2 devices, a model
    without a measure of quality. Cost: devices x (values + 1) generations.
    """
    models = [model] if isinstance(model, Model) else list(model)
    require(len(models) > 0, "no model given: give one or more")
    require(devices >= 2, f"devices = {devices}: an interval needs 2 independent ones or more")
    require(count >= 2, f"count = {count}: give 2 samples or more")
    check_seed(seed)
    swept, base = swept_imperfection(name), base or Imperfections()
    chosen = default_values(name, models[0].computer) if values is None else [float(v) for v in values]
    require(len(chosen) > 0, f"no value of {name} given: give one or more, e.g. {swept.values[0]:g}")
    chosen = sorted(set(chosen), reverse=not swept.more_is_worse)
    kinds = [Imperfections(), *(Imperfections.named(name, value, base) for value in chosen)]
    measures = _measures_of(models[0], reference)
    schedules = [m.schedule if dt is None else replace(m.schedule, dt=dt) for m in models]
    weights = [digest(m.computer) if folder else "" for m in models]
    tested, cache = _Devices(models, schedules, weights, measures, count, seed), ResultCache(folder)
    tasks = [(kind, device) for kind in kinds for device in range(devices)]
    places = [tested.place(*task) for task in tasks]
    notes = ["perfect", *(f"{value:g}" for value in chosen)]
    with stage(name, len(tasks)) as tick:
        runs = jobs(
            name,
            len(tasks),
            lambda number: cache.result(*places[number], lambda: tested.figures(*tasks[number])),
            finished=lambda number: cache.kept(*places[number]) is not None,
            progress=lambda done, number: tick(done, notes[number // devices]),
        )
    perfect, *rows = (runs[start : start + devices] for start in range(0, len(runs), devices))
    require(
        all("diverged" not in run for run in perfect),
        f"the perfect device diverges with dt = {schedules[0].dt:g}: give less",
    )
    low = min(run[measures.quality] for run in perfect)
    require(
        low > 0, f"a perfect device has {measures.quality} {low:.2g}: nothing to lose; train the model longer"
    )
    result = {
        "imperfection": name,
        **{name: getattr(swept, name) for name in ("label", "unit", "more_is_worse")},
        "measure": measures.quality,
        "second": measures.second,
        "base": base.present(),
        "devices": devices,
        "models": len(models),
        "count": count,
        "seed": seed,
        "dt": schedules[0].dt,
        "perfect": _summary(perfect, perfect, measures),
        "rows": [
            {"value": value, **_summary(row, perfect, measures)}
            for value, row in zip(chosen, rows, strict=True)
        ],
    }
    return {**result, "tolerated": {name: _limit(result, name) for name in ("quality", "second")}}


def _limit(result: dict[str, Any], figure: str) -> dict[str, Any]:
    """A tolerance for JSON, which has no infinity: the value, or None, and where quality is lost."""
    value = tolerated(result, figure=figure)
    if value is None:
        return {"value": None, "lost": "never"}
    everywhere = value in (0, math.inf)
    return {"value": None if everywhere else value, "lost": "everywhere" if everywhere else "within"}


def _summary(
    runs: list[dict[str, float]], perfect: list[dict[str, float]], measures: _Measures
) -> dict[str, Any]:
    """Intervals over devices; a device that diverged has no figure but its quality of 0."""
    pairs = list(zip(runs, perfect, strict=True))
    quality, second = measures.quality, measures.second
    complete = [(run, free) for run, free in pairs if "heat_kT" in run and "heat_kT" in free]

    def over(values: list[float]) -> dict[str, Any] | None:
        return interval(values) if len(values) > 1 else None

    def share(run: dict[str, float], free: dict[str, float]) -> float:
        if second == "frechet":
            run, free = free, run  # a smaller distance is better
        return run[second] / free[second] if free[second] else 1.0

    return {
        "quality": interval([run[quality] for run in runs]),
        "quality_share": interval([run[quality] / free[quality] for run, free in pairs]),
        "second": over([run[second] for run, _ in complete]),
        "second_share": over([share(run, free) for run, free in complete]),
        "heat_kT": over([run["heat_kT"] for run, _ in complete]),
        "heat_ratio": over([run["heat_kT"] / free["heat_kT"] for run, free in complete]),
        "work_kT": over([run["work_kT"] for run, _ in complete]),
        "diverged": sum("diverged" in run for run in runs),
        "runs": runs,
    }


def tolerated(result: dict[str, Any], share: float = 0.95, figure: str = "quality") -> float | None:
    """The worst value that keeps at least `share` of the perfect quality; None if no value loses it.

    result: of `sweep`; figure: 'quality', or 'second' for the second measure. The mean over devices is
    interpolated linearly between the last value that keeps it and the first that does not; from 0 where more
    is worse and the devices have no other imperfection. If the mildest value loses it: 0 where more is worse,
    else infinity.
    Raises InputError for a share that is not between 0 and 1.
    """
    require(0 < share < 1, f"share = {share}: give a number between 0 and 1, e.g. 0.95")
    shares = [(row["value"], row[f"{figure}_share"]) for row in result["rows"]]
    points = [(value, kept["mean"] if kept else 0.0) for value, kept in shares]
    if result["more_is_worse"] and not result["base"] and points[0][0] != 0:
        points.insert(0, (0.0, 1.0))
    before = None
    for value, kept in points:
        if kept < share:
            if before is None:
                return 0.0 if result["more_is_worse"] else math.inf
            return before[0] + (value - before[0]) * (before[1] - share) / (before[1] - kept)
        before = value, kept
    return None

"""How much imperfection a trained computer tolerates: sweeps of one imperfection over several devices."""

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
from thermogen.quality import Reference, frechet, prototype_scores
from thermogen.quality.measures import entropy
from thermogen.seeds import check_seed, stream
from thermogen.storage.arrays import digest
from thermogen.storage.cache import ResultCache
from thermogen.storage.model import Model, versions
from thermogen.studies.measures import interval
from thermogen.studies.progress import Stage, silent


class Flaw(NamedTuple):
    """An imperfection as it is swept: what it is called, its unit, default values, and which end is bad.

    Default values of flaws with a `scale` are in thermal widths sqrt(kT / 2 J2) ('width') or in sqrt(kT) E0
    ('force') and are turned into numbers for a computer by `default_values`.
    """

    label: str
    unit: str
    values: tuple[float, ...]
    more_is_worse: bool = True
    scale: str = ""


_WIDTHS = (0.5, 1.0, 2.0, 4.0, 8.0)
FLAWS: dict[str, Flaw] = {
    "bits": Flaw("bits a coupling", "", (2, 3, 4, 5, 6, 8), False),
    "bias_bits": Flaw("bits a bias", "", (2, 3, 4, 5, 6, 8), False),
    "coupling_limit": Flaw("coupling limit", "of the largest", (0.1, 0.3, 0.5, 0.7, 0.9), False),
    "coupling_error": Flaw("error of couplers", "relative", (0.05, 0.1, 0.2, 0.4, 0.8)),
    "asymmetry": Flaw("asymmetry", "relative", (0.05, 0.1, 0.2, 0.4, 0.8)),
    "dead": Flaw("dead couplers", "share", (0.01, 0.03, 0.1, 0.2, 0.4)),
    "linear_range": Flaw("linear range", "x", _WIDTHS, False, "width"),
    "mismatch_J2": Flaw("mismatch of $J_2$", "relative", (0.05, 0.1, 0.2, 0.4, 0.8)),
    "mismatch_J4": Flaw("mismatch of $J_4$", "relative", (0.05, 0.1, 0.2, 0.4, 0.8)),
    "mismatch_mobility": Flaw("mismatch of mobility", "relative", (0.05, 0.1, 0.2, 0.4, 0.8)),
    "offset": Flaw("offset of units", "$E_0$", (0.1, 0.3, 1.0, 3.0, 10.0), True, "force"),
    "temperature_gradient": Flaw("temperature gradient", "relative", (0.1, 0.3, 0.5, 0.7, 0.9)),
    "excess_noise": Flaw("excess noise", "of thermal", (0.1, 0.3, 1.0, 3.0, 10.0)),
    "noise_time": Flaw("correlated noise", r"$1/\mu E_0$", (0.01, 0.03, 0.1, 0.3, 1.0)),
    "readout_noise": Flaw("read-out noise", "x", _WIDTHS, True, "width"),
    "readout_time": Flaw("read-out time", r"$1/\mu E_0$", (0.03, 0.1, 0.3, 1.0, 3.0)),
    "switching_time": Flaw("switching time", r"$1/\mu E_0$", (0.03, 0.1, 0.3, 1.0, 3.0)),
}
"""All imperfections that can be swept, in the order of tables and figures."""


def default_values(name: str, control: Control) -> list[float]:
    """Values at which a flaw is swept unless others are asked for; InputError for an unknown name."""
    flaw = check_flaw(name)
    kT = float(control.kT)
    idle = control.uncoupled()
    unit = {"": 1.0, "width": math.sqrt(kT / (2 * abs(float(np.mean(idle.J2))) + kT)), "force": math.sqrt(kT)}
    return [float(f"{value * unit[flaw.scale]:.2g}") for value in flaw.values]


def check_flaw(name: str) -> Flaw:
    """The imperfection of that name; InputError for an unknown one."""
    if name not in FLAWS:
        raise InputError(f"unknown imperfection {name!r}: choose among {', '.join(FLAWS)}")
    return FLAWS[name]


class _Judge(NamedTuple):
    """How samples are judged: the figure that counts, one beside it, the identity of the judge."""

    measure: str
    beside: str
    identity: dict[str, Any]
    figures: Callable[[DeviceSamples, Model], dict[str, float]]


def _judge_of(model: Model, reference: Reference | None) -> _Judge:
    if isinstance(model.computer, ConditionSet):
        if reference is None:
            raise InputError("this model draws classes on demand: give images to judge its samples by")
        known = reference

        def classified(samples: DeviceSamples, model: Model) -> dict[str, float]:
            verdict = known.classifier.classify(samples.visible)
            return {
                "accuracy": float(np.mean(verdict.label == samples.labels)),
                "frechet": frechet(verdict.features, known.features),
            }

        return _Judge(
            "accuracy",
            "frechet",
            {"classifier": known.classifier.sha256, "held_out": len(known.held_out)},
            classified,
        )
    if model.prototypes is None:
        raise InputError(
            f"the model learnt {model.data.get('prototypes')} images and carries none to judge by: train "
            "with fewer, or in modes"
        )

    def resemblance(samples: DeviceSamples, model: Model) -> dict[str, float]:
        assert model.prototypes is not None
        scores = prototype_scores(samples.visible, model.prototypes)
        kinds = len(model.prototypes)
        even = entropy(scores.nearest, kinds) / math.log(kinds) if kinds > 1 else 1.0
        return {"correlation": float(scores.best.mean()), "balance": even}

    return _Judge("correlation", "balance", {}, resemblance)


@dataclass(frozen=True)
class _Bench:
    """Devices on the bench: device d is made of model d mod their number, with its schedule."""

    models: Sequence[Model]
    schedules: Sequence[Schedule]
    weights: Sequence[str]
    judge: _Judge
    count: int
    seed: int

    def place(self, imperfections: Imperfections, device: int) -> tuple[str, dict[str, Any]]:
        """Where the figures of a device are kept: name and identity."""
        number = device % len(self.models)
        words = "-".join(f"{name}-{value:g}" for name, value in imperfections.present().items()) or "perfect"
        return f"{words[:80]}-device-{device}", {
            "imperfections": asdict(imperfections),
            "device": device,
            "seed": self.seed,
            "count": self.count,
            "schedule": asdict(self.schedules[number]),
            "weights": self.weights[number],
            "judge": self.judge.identity,
            "thermogen": versions()["thermogen"],
        }

    def measured(self, imperfections: Imperfections, device: int) -> dict[str, float]:
        """Figures of one device. One that leaves all scales is `diverged`."""
        number = device % len(self.models)
        model, schedule = self.models[number], self.schedules[number]
        build, noise = stream(self.seed, "device"), stream(self.seed, "device noise")
        built = make_device(
            jax.random.fold_in(build, device), model.computer, imperfections, image_shape=model.image_shape
        )
        found: dict[str, float] = {}
        try:
            samples = run_device(jax.random.fold_in(noise, device), built, self.count, schedule)
        except DivergenceError:  # some unit is too fast for the step: a matter of the integration
            finer = replace(schedule, dt=schedule.dt / 10)
            found["dt"] = finer.dt
            try:
                samples = run_device(jax.random.fold_in(noise, device), built, self.count, finer)
            except DivergenceError:
                return {self.judge.measure: 0.0, "diverged": 1.0}
        return {
            **found,
            **self.judge.figures(samples, model),
            "heat_kT": float(samples.heat_kT.mean(dtype=float)),
            "work_kT": float(samples.work_kT.mean(dtype=float)),
        }


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
    """Quality and heat of `devices` independent devices at every value of one imperfection.

    Device d is drawn from (seed, d); at every value it is the same device with more or less of the same
    errors, and it draws `count` samples from the noise with which the perfect device d draws its own, so that
    changes are paired. `model`: one, or several of which device d takes number d (mod their number). `base`:
    imperfections that every device has besides. `folder`: where every finished device is kept.

    Quality is the mean correlation with the nearest prototype, and beside it `balance`, how evenly prototypes
    are drawn: the entropy of their counts, 1 if all are drawn alike. For controls with conditions it is the
    `accuracy`, the share of samples of the class asked for by the classifier of `reference`, and beside it
    the Fréchet distance `frechet` (biased upwards for few samples: compare within one count).

    Returns `measure`, `beside`, `perfect` and `rows`: for each value intervals over devices
    (`studies.measures.interval`) of quality, of what is beside it, of heat_kT and work_kT, and with respect
    to the perfect device of `quality_share`, `beside_share` (Fréchet: perfect over found) and `heat_ratio`;
    the figures of every device as `runs`. A device that diverges is run with dt / 10 (noise of its own); one
    that diverges again has quality 0 and no other figure. `tolerated`: for quality and what is beside it, the
    value at which 95 % are kept, and where they are lost: within, never or everywhere.
    The processes of `thermogen.parallel.join_processes` share the devices.
    Raises InputError for an unknown imperfection, a value it cannot have, fewer than 2 devices, a model that
    nothing can judge. Cost: devices x (values + 1) generations.
    """
    models = [model] if isinstance(model, Model) else list(model)
    require(len(models) > 0, "no model given: give one or more")
    require(devices >= 2, f"devices = {devices}: an interval needs 2 independent ones or more")
    require(count >= 2, f"count = {count}: give 2 samples or more")
    check_seed(seed)
    flaw, base = check_flaw(name), base or Imperfections()
    chosen = default_values(name, models[0].computer) if values is None else [float(one) for one in values]
    require(len(chosen) > 0, f"no value of {name} given: give one or more, e.g. {flaw.values[0]:g}")
    chosen = sorted(set(chosen), reverse=not flaw.more_is_worse)
    tried = [Imperfections.named(name, value, base) for value in chosen]
    judge = _judge_of(models[0], reference)
    schedules = [one.schedule if dt is None else replace(one.schedule, dt=dt) for one in models]
    weights = [digest(one.computer) if folder else "" for one in models]
    bench, cache = _Bench(models, schedules, weights, judge, count, seed), ResultCache(folder)
    each = [(wrong, device) for wrong in (Imperfections(), *tried) for device in range(devices)]
    places = [bench.place(*pair) for pair in each]
    notes = ["perfect", *(f"{value:g}" for value in chosen)]
    with stage(name, len(each)) as tick:
        found = jobs(
            name,
            len(each),
            lambda number: cache.result(*places[number], lambda: bench.measured(*each[number])),
            finished=lambda number: cache.kept(*places[number]) is not None,
            progress=lambda done, number: tick(done, notes[number // devices]),
        )
    perfect, *swept = (found[start : start + devices] for start in range(0, len(each), devices))
    require(
        all("diverged" not in one for one in perfect),
        f"the perfect device diverges with dt = {bench.schedules[0].dt:g}: give less",
    )
    low = min(one[judge.measure] for one in perfect)
    require(
        low > 0, f"a perfect device has {judge.measure} {low:.2g}: nothing to lose; train the model longer"
    )
    result = {
        "flaw": name,
        "label": flaw.label,
        "unit": flaw.unit,
        "more_is_worse": flaw.more_is_worse,
        "measure": judge.measure,
        "beside": judge.beside,
        "base": base.present(),
        "devices": devices,
        "models": len(models),
        "count": count,
        "seed": seed,
        "dt": schedules[0].dt,
        "perfect": _summary(perfect, perfect, judge),
        "rows": [
            {"value": value, **_summary(runs, perfect, judge)}
            for value, runs in zip(chosen, swept, strict=True)
        ],
    }
    limits = {name: _told(tolerated(result, figure=name)) for name in ("quality", "beside")}
    return {**result, "tolerated": limits}


def _told(value: float | None) -> dict[str, Any]:
    """A tolerance for JSON, which knows no infinity: value (None if there is none), and where it is lost."""
    if value is None:
        return {"value": None, "lost": "never"}
    everywhere = value in (0, math.inf)
    return {"value": None if everywhere else value, "lost": "everywhere" if everywhere else "within"}


def _summary(runs: list[dict[str, float]], perfect: list[dict[str, float]], judge: _Judge) -> dict[str, Any]:
    """Intervals over devices; a device that diverged has no figure but its quality of 0."""
    pairs = list(zip(runs, perfect, strict=True))
    whole = [(one, free) for one, free in pairs if "heat_kT" in one and "heat_kT" in free]

    def over(values: list[float]) -> dict[str, Any] | None:
        return interval(values) if len(values) > 1 else None

    def share(one: dict[str, float], free: dict[str, float]) -> float:
        if judge.beside == "frechet":
            one, free = free, one  # of a distance less is better
        return one[judge.beside] / free[judge.beside] if free[judge.beside] else 1.0

    return {
        "quality": interval([one[judge.measure] for one in runs]),
        "quality_share": interval([one[judge.measure] / free[judge.measure] for one, free in pairs]),
        "beside": over([one[judge.beside] for one, _ in whole]),
        "beside_share": over([share(one, free) for one, free in whole]),
        "heat_kT": over([one["heat_kT"] for one, _ in whole]),
        "heat_ratio": over([one["heat_kT"] / free["heat_kT"] for one, free in whole]),
        "work_kT": over([one["work_kT"] for one, _ in whole]),
        "diverged": sum("diverged" in one for one in runs),
        "runs": runs,
    }


def tolerated(result: dict[str, Any], share: float = 0.95, figure: str = "quality") -> float | None:
    """The worst value at which quality keeps at least `share` of the perfect one's; None if it is never lost.

    result: what `sweep` returned; figure: 'quality', or 'beside' for what stands beside it. Between the last
    value that keeps it and the first that does not, the mean over devices is interpolated linearly; where
    more is worse and nothing else is wrong, from 0, at which all is kept. If it is lost at the mildest value:
    0 where more is worse, infinity where less is.
    Raises InputError for a share that is not between 0 and 1.
    """
    require(0 < share < 1, f"share = {share}: give a number between 0 and 1, e.g. 0.95")
    rows = [(row["value"], row[f"{figure}_share"]) for row in result["rows"]]
    points = [(value, found["mean"] if found else 0.0) for value, found in rows]
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

"""A circuit in ngspice and the same computer in our own engine: one path, samples of both, a report."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Key

from thermogen.computer import Computer
from thermogen.generation import Samples, generate
from thermogen.hardware import CircuitBench, Platform, PlatformRecord, figures, generate_in_circuit
from thermogen.hardware.spice.ngspice import version
from thermogen.hardware.spice.verify import ERRORS, Trace, ensembles, pathwise, random_computer, traces
from thermogen.langevin import StochasticHeun
from thermogen.quality import prototype_scores
from thermogen.report.circuit import CircuitRecord, swept, write_circuit_report
from thermogen.seeds import stream
from thermogen.storage.arrays import digest
from thermogen.storage.model import versions
from thermogen.storage.run_folder import RunFolder
from thermogen.studies.circuit_model import CircuitModel, check_size, transient_of
from thermogen.studies.measures import summary
from thermogen.studies.progress import Stage, silent

OUTPUTS = ("report.html", "samples.npz", "figures")
SIZES = (2, 16, 96)
"""Units of the random computers that are compared path by path."""
AVERAGED = 16
"""Units of the random computer whose averages are compared."""


def verify_model(
    circuit: CircuitModel,
    out: Path,
    count: int,
    *,
    seed: int = 0,
    noise_step: float = 0.05,
    program: str | None = None,
    identity: dict[str, Any] | None = None,
    tolerance: Path | None = None,
    force: bool = False,
    stage: Stage = silent,
) -> dict[str, Any]:
    """Compare a circuit in ngspice with our own engine, into the folder `out`; the content of results.json.

    pathwise, deterministic: the same path in both engines, with and without noise. heat_kT, and the best
    correlation with a prototype if the model has them: means of `count` samples of each engine, which share
    starts but not noise, and z of their difference. agrees: paths within their bounds, means within four
    standard errors. The same call continues after an interruption. tolerance: folder of a sweep whose figures
    go into the report.
    Raises InputError for fewer than two samples, a circuit too large for ngspice, and a folder with other
    content.
    """
    check_size(circuit, count)
    if tolerance is not None:
        swept(tolerance)  # refused now, not after the work
    own = {
        **(identity or {}),
        "weights": digest(circuit.model.computer),
        "platform": asdict(circuit.physical.platform),
        "tolerance": None if tolerance is None else str(tolerance),
        "noise_step": noise_step,
        "dt": circuit.schedule.dt,
    }
    folder, finished = _claimed(out, own, count, seed, force, OUTPUTS)
    if finished is not None:
        return finished
    bench = CircuitBench.at(folder.work / "decks", program)
    results, theirs, ours, trace = compare(circuit, bench, count, seed, noise_step, stage)
    results["versions"] = {**versions(), "ngspice": version(bench.program)}
    shape = circuit.model.image_shape
    stored = ("x", "visible", "heat_kT", "work_kT", "film", "film_times")
    arrays = {name: getattr(theirs, name) for name in stored}
    np.savez_compressed(out / "samples.npz", allow_pickle=False, **arrays, image_shape=np.array(shape))
    write_circuit_report(out, CircuitRecord(results, shape, theirs, ours, trace, tolerance))
    folder.finish(results)
    return results


def _claimed(
    out: Path, own: dict[str, Any], count: int, seed: int, force: bool, outputs: tuple[str, ...] = ()
) -> tuple[RunFolder, dict[str, Any] | None]:
    """The folder of a run, and its results if it is finished."""
    identity = {**own, "count": count, "seed": seed, "version": versions()["thermogen"]}
    folder = RunFolder(out, identity, outputs)
    return folder, folder.claim(resume=not force, force=force)


def compare(
    circuit: CircuitModel,
    bench: CircuitBench,
    count: int,
    seed: int,
    noise_step: float,
    stage: Stage = silent,
) -> tuple[dict[str, Any], Samples, Samples, Trace]:
    """Results of `verify_model`, the samples of ngspice and our own, and one path in both engines."""
    key, physical, schedule = stream(seed, "generation"), circuit.physical, circuit.schedule
    given = (key, circuit.computer, physical.platform, bench)
    times: dict[str, Any] = {"noise_step": noise_step, "t_f": schedule.t_f}
    with stage("path by path", 3) as tick:
        path = pathwise(*given, **times)
        tick(1, f"{path['runs'][0]['difference']:.1e}")
        still = pathwise(*given, noisy=False, **times)
        tick(2, f"{still['runs'][0]['difference']:.1e}")
        trace = traces(*given, **times)
    with stage("ngspice", count) as tick:
        theirs = generate_in_circuit(
            key,
            circuit.computer,
            physical,
            count,
            schedule,
            transient_of(circuit, noise_step),
            bench,
            progress=lambda done: tick(done, ""),
        )
    with stage("thermogen", count) as tick:
        ours = generate(
            key,
            circuit.computer,
            count,
            schedule,
            integrator=StochasticHeun(),  # Euler's heat is 2 % low at dt = 5e-3
            progress=lambda done, of: tick(done * count // of, ""),
        )
    found = figures(physical, schedule, float(theirs.heat_kT.mean()), circuit.record.active)
    results: dict[str, Any] = {
        "units": len(physical.bias),
        "pathwise": path,
        "deterministic": still,
        "heat_kT": agreement(theirs.heat_kT, ours.heat_kT),
        "figures": {name: figure._asdict() for name, figure in found.items()},
        "platform": description(circuit.record),
    }
    prototypes = circuit.model.prototypes
    if prototypes is not None:
        best = (prototype_scores(samples.visible, prototypes).best for samples in (theirs, ours))
        results["prototype_correlation"] = agreement(*best)
    means = [results[name] for name in ("heat_kT", "prototype_correlation") if name in results]
    close = all(abs(mean["z"]) < ERRORS for mean in means)
    results["agrees"] = bool(path["agrees"] and still["agrees"] and close)
    return results, theirs, ours, trace


def agreement(theirs: np.ndarray, ours: np.ndarray) -> dict[str, Any]:
    """Means of both engines with their standard errors, and z of the difference."""
    a, b = summary(theirs), summary(ours)
    error = (float(a["sem"] or 0) ** 2 + float(b["sem"] or 0) ** 2) ** 0.5
    difference = float(np.mean(theirs) - np.mean(ours))
    return {"ngspice": a, "thermogen": b, "z": difference / error if error else 0.0}


def description(record: PlatformRecord) -> dict[str, Any]:
    """The record of a platform as JSON."""
    elements = {
        name: {key: getattr(element, key) for key in ("value", "unit", "source")}
        for name, element in record.elements.items()
    }
    return {"name": record.name, "title": record.title, "elements": elements}


def verify_random(
    record: PlatformRecord,
    out: Path,
    count: int,
    *,
    seed: int = 0,
    program: str | None = None,
    force: bool = False,
    stage: Stage = silent,
) -> dict[str, Any]:
    """Random computers of 2, 16 and 96 units path by path, and 16 units in distribution over `count` paths.

    Writes results.json into the folder `out`. The same call continues after an interruption.
    """
    folder, finished = _claimed(out, {"platform": asdict(record.platform())}, count, seed, force)
    if finished is not None:
        return finished
    bench, platform = CircuitBench.at(folder.work / "decks", program), record.platform()

    def random(units: int) -> tuple[Key[Array, ""], Computer, Platform, CircuitBench]:
        key = jax.random.fold_in(stream(seed, "circuit"), units)
        return key, random_computer(key, units), platform, bench

    rows = []
    with stage("path by path", len(SIZES)) as tick:
        for number, units in enumerate(SIZES):
            given = random(units)
            noisy, still = pathwise(*given), pathwise(*given, noisy=False)
            rows.append({"units": units, "pathwise": noisy, "deterministic": still})
            tick(number + 1, f"{units} units: {noisy['runs'][0]['difference']:.1e}")
    with stage("ngspice", count) as tick:
        averages = ensembles(*random(AVERAGED), count, progress=lambda n: tick(n, ""))
    paths = (row[kind]["agrees"] for row in rows for kind in ("pathwise", "deterministic"))
    results = {
        "rows": rows,
        "averages": averages,
        "agrees": bool(averages["agrees"] and all(paths)),
        "versions": {**versions(), "ngspice": version(bench.program)},
    }
    folder.finish(results)
    return results

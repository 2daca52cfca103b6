"""A circuit in ngspice and the same computer in our own engine: one path, samples of both, a report."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import jax
import numpy as np

from thermogen.generation import Samples, generate
from thermogen.hardware import CircuitBench, PlatformRecord, figures, generate_in_circuit
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
    """Everything about a circuit in ngspice into the folder `out`; the content of its results.json.

    pathwise, deterministic: the same path in both engines, with and without noise. heat_kT, and the best
    correlation with a prototype if the model carries them: means of `count` samples of each engine, which
    share starts but not noise, and z of their difference. agrees: paths within their bounds, means within
    four standard errors. The same call goes on where it was interrupted. `tolerance`: a sweep's folder whose
    figures go into the report.
    Raises InputError for fewer than two samples, a circuit too large for ngspice, and a folder in the way.
    """
    check_size(circuit, count)
    if tolerance is not None:
        swept(tolerance)  # refused now, not after the work
    own = {
        **(identity or {}),
        "weights": digest(circuit.model.computer),
        "platform": asdict(circuit.physical.platform),
        "tolerance": None if tolerance is None else str(tolerance),
        "count": count,
        "seed": seed,
        "noise_step": noise_step,
        "dt": circuit.schedule.dt,
        "version": versions()["thermogen"],
    }
    folder = RunFolder(out, own, OUTPUTS)
    finished = folder.claim(resume=not force, force=force)
    if finished is not None:
        return finished
    bench = CircuitBench.at(folder.work / "decks", program)
    results, theirs, ours, trace = compare(circuit, bench, count, seed, noise_step, stage)
    results["versions"] = {**versions(), "ngspice": version(bench.program)}
    np.savez_compressed(
        out / "samples.npz",
        allow_pickle=False,
        x=theirs.x,
        visible=theirs.visible,
        heat_kT=theirs.heat_kT,
        work_kT=theirs.work_kT,
        film=theirs.film,
        film_times=theirs.film_times,
        image_shape=np.array(circuit.model.image_shape),
    )
    record = CircuitRecord(results, circuit.model.image_shape, theirs, ours, trace, tolerance)
    write_circuit_report(out, record)
    folder.finish(results)
    return results


def compare(
    circuit: CircuitModel,
    bench: CircuitBench,
    count: int,
    seed: int,
    noise_step: float,
    stage: Stage = silent,
) -> tuple[dict[str, Any], Samples, Samples, Trace]:
    """What `verify_model` finds, with the samples of ngspice and our own, and one path in both engines."""
    key, computer, platform = (
        stream(seed, "generation"),
        circuit.computer,
        circuit.physical.platform,
    )
    times: dict[str, Any] = {"noise_step": noise_step, "t_f": circuit.schedule.t_f}
    with stage("path by path", 3) as tick:
        path = pathwise(key, computer, platform, bench, **times)
        tick(1, f"{path['runs'][0]['difference']:.1e}")
        still = pathwise(key, computer, platform, bench, noisy=False, **times)
        tick(2, f"{still['runs'][0]['difference']:.1e}")
        trace = traces(key, computer, platform, bench, **times)
    with stage("ngspice", count) as tick:
        theirs = generate_in_circuit(
            key,
            computer,
            circuit.physical,
            count,
            circuit.schedule,
            transient_of(circuit, noise_step),
            bench,
            progress=lambda done: tick(done, ""),
        )
    with stage("thermogen", count) as tick:
        ours = generate(
            key,
            computer,
            count,
            circuit.schedule,
            integrator=StochasticHeun(),  # Euler's heat is 2 % low at dt = 5e-3
            progress=lambda done, of: tick(done * count // of, ""),
        )
    found = figures(
        circuit.physical,
        circuit.schedule,
        float(theirs.heat_kT.mean()),
        circuit.record.active,
    )
    results: dict[str, Any] = {
        "units": len(circuit.physical.bias),
        "pathwise": path,
        "deterministic": still,
        "heat_kT": agreement(theirs.heat_kT, ours.heat_kT),
        "figures": {name: one._asdict() for name, one in found.items()},
        "platform": description(circuit.record),
    }
    if circuit.model.prototypes is not None:
        best = [prototype_scores(one.visible, circuit.model.prototypes).best for one in (theirs, ours)]
        results["prototype_correlation"] = agreement(*best)
    compared = [results[name] for name in ("heat_kT", "prototype_correlation") if name in results]
    results["agrees"] = bool(
        path["agrees"] and still["agrees"] and all(abs(one["z"]) < ERRORS for one in compared)
    )
    return results, theirs, ours, trace


def agreement(theirs: np.ndarray, ours: np.ndarray) -> dict[str, Any]:
    """Means of both engines with their standard errors, and z of the difference."""
    a, b = summary(theirs), summary(ours)
    error = (float(a["sem"] or 0) ** 2 + float(b["sem"] or 0) ** 2) ** 0.5
    difference = float(np.mean(theirs) - np.mean(ours))
    return {"ngspice": a, "thermogen": b, "z": difference / error if error else 0.0}


def description(record: PlatformRecord) -> dict[str, Any]:
    """A platform's record in words and numbers."""
    return {
        "name": record.name,
        "title": record.title,
        "elements": {
            name: {"value": one.value, "unit": one.unit, "source": one.source}
            for name, one in record.elements.items()
        },
    }


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

    Into the folder `out`: results.json. The same call goes on where it was interrupted.
    """
    own = {
        "platform": asdict(record.platform()),
        "count": count,
        "seed": seed,
        "version": versions()["thermogen"],
    }
    folder = RunFolder(out, own, ())
    finished = folder.claim(resume=not force, force=force)
    if finished is not None:
        return finished
    bench, platform = CircuitBench.at(folder.work / "decks", program), record.platform()
    rows = []
    with stage("path by path", len(SIZES)) as tick:
        for number, units in enumerate(SIZES):
            key = jax.random.fold_in(stream(seed, "circuit"), units)
            computer = random_computer(key, units)
            noisy = pathwise(key, computer, platform, bench)
            rows.append(
                {
                    "units": units,
                    "pathwise": noisy,
                    "deterministic": pathwise(key, computer, platform, bench, noisy=False),
                }
            )
            tick(number + 1, f"{units} units: {noisy['runs'][0]['difference']:.1e}")
    key = jax.random.fold_in(stream(seed, "circuit"), AVERAGED)
    with stage("ngspice", count) as tick:
        averages = ensembles(
            key, random_computer(key, AVERAGED), platform, bench, count, progress=lambda n: tick(n, "")
        )
    agrees = averages["agrees"] and all(
        row[kind]["agrees"] for row in rows for kind in ("pathwise", "deterministic")
    )
    results = {
        "rows": rows,
        "averages": averages,
        "agrees": bool(agrees),
        "versions": {**versions(), "ngspice": version(bench.program)},
    }
    folder.finish(results)
    return results

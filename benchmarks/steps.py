"""Convergence of heat and images with time step, method, noise and precision of products."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax
import numpy as np

from benchmarks.common import keep
from thermogen.data import load_split
from thermogen.errors import DivergenceError
from thermogen.generation import Samples, generate, suitable_dt
from thermogen.langevin import Integrator, named_integrator
from thermogen.quality import frechet, load_classifier, prototype_scores
from thermogen.studies.conditional_training import ConditionalSettings, train_conditional
from thermogen.studies.experiment import prepare
from thermogen.studies.settings import Settings

KEY = jax.random.key(7)
METHODS = ("euler", "leimkuhler-matthews", "heun")
STEPS = (2500, 1000, 500, 250, 125, 83, 62, 50, 40)
COARSE = (500, 250, 125, 83, 62, 50)


def cells(steps: tuple[int, ...], others: int) -> list[tuple[str, Integrator, int | None]]:
    """All methods at all steps and at the step of `--dt auto`; weak noise and bfloat16 at `others` steps."""
    found: list[tuple[str, Integrator, int | None]] = [
        (name, named_integrator(name), count) for name in METHODS for count in steps
    ]
    found += [(f"{name}, chosen", named_integrator(name), None) for name in METHODS]
    for name in ("euler", "heun"):
        found += [
            (f"{name}, three-point", named_integrator(name, "three-point"), others),
            (f"{name}, bfloat16", named_integrator(name, products="bfloat16"), others),
        ]
    found += [("heun, three-point, chosen", named_integrator("heun", "three-point"), None)]
    return found


def measured(
    control: Any,
    schedule: Any,
    n: int,
    wanted: list[tuple[str, Integrator, int | None]],
    judged: Callable[[Samples], dict[str, Any]],
) -> list[dict[str, Any]]:
    """A row for each cell. `against_heun`: paired, since steps of one length have the same noise."""
    rows, heun = [], {}
    order = sorted(wanted, key=lambda cell: not cell[0].startswith("heun"))  # Heun first: it is paired with
    first = None
    for name, method, count in order:
        dt = suitable_dt(KEY, control, schedule, method) if count is None else schedule.t_f / count
        row: dict[str, Any] = {"method": name, "steps": round(schedule.t_f / dt), "dt": dt, "n": n}
        try:
            samples = generate(KEY, control, n, replace(schedule, dt=dt), integrator=method, film_frames=1)
        except DivergenceError as error:
            rows.append({**row, "diverged": str(error)})
            print(rows[-1], flush=True)
            continue
        heat = samples.heat_kT
        row |= {
            "heat_kT": float(heat.mean()),
            "sem": float(heat.std(ddof=1) / n**0.5),
            "sd": float(heat.std()),
        }
        if name == "heun":
            heun[row["steps"]] = heat
        if row["steps"] in heun and name != "heun":
            apart = heat - heun[row["steps"]]
            row["against_heun"] = {
                "heat_kT": float(apart.mean()),
                "sem": float(apart.std(ddof=1) / n**0.5),
            }
        images = samples.visible
        if first is None:
            first = images.mean(0), images.var(0).mean(), heat.mean()
        row["relative_heat"] = float(heat.mean() / first[2] - 1)
        row["mean_image_moved"] = float(np.sqrt(((images.mean(0) - first[0]) ** 2).mean()))
        row["variance"] = float(images.var(0).mean() / first[1] - 1)
        row |= judged(samples)
        rows.append(row)
        print(row, flush=True)
    return rows


def by_prototypes(prototypes: np.ndarray) -> Callable[[Samples], dict[str, Any]]:
    def judged(samples: Samples) -> dict[str, Any]:
        scores = prototype_scores(samples.visible, prototypes)
        sem = float(scores.best.std() / len(scores.best) ** 0.5)
        return {
            "correlation": float(scores.best.mean()),
            "correlation_sem": sem,
            "counts": scores.counts.tolist(),
        }

    return judged


def by_classifier(split: Any) -> Callable[[Samples], dict[str, Any]]:
    judge = load_classifier()
    real = judge.classify(split.held_out.grey()).features

    def judged(samples: Samples) -> dict[str, Any]:
        verdict = judge.classify(samples.visible)
        right = float((verdict.label == samples.labels).mean())
        return {"accuracy": right, "frechet": frechet(verdict.features, real)}

    return judged


def tables(found: dict[str, list[dict[str, Any]]]) -> str:
    """The convergence tables of docs/speed.md: heat of Heun, bias of the others against it, step by step."""
    parts = []
    for name, rows in found.items():
        plain = [row for row in rows if row["method"] in METHODS]
        measure = "accuracy" if "accuracy" in rows[0] else "correlation"
        columns = " | ".join(f"{method}, {measure}" for method in METHODS)
        lines = [f"**{name}**, n = {rows[0]['n']:,} a cell:", "", f"| steps | dt | {columns} |"]
        lines.append("|---" * (2 + len(METHODS)) + "|")
        for steps in sorted({row["steps"] for row in plain}, reverse=True):
            cells = [
                _cell(next(r for r in plain if (r["method"], r["steps"]) == (m, steps)), measure)
                for m in METHODS
            ]
            dt = next(row["dt"] for row in plain if row["steps"] == steps)
            lines.append(f"| {steps} | {dt:.3g} | {' | '.join(cells)} |")
        lines += [
            "",
            "| method | steps | heat / kT | difference from the finest Heun | " + measure + " |",
            "|---|---|---|---|---|",
        ]
        for row in rows:
            if row["method"] not in METHODS:
                lines.append(
                    f"| {row['method']} | {row['steps']} | {row['heat_kT']:.0f} ± {row['sem']:.0f} | "
                    f"{100 * row['relative_heat']:+.2f} % | {row[measure]:.3f} |"
                )
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def _cell(row: dict[str, Any], measure: str) -> str:
    if "diverged" in row:
        return "diverges"
    if "against_heun" in row:
        bias, sem = (100 * row["against_heun"][key] / row["heat_kT"] for key in ("heat_kT", "sem"))
        heat = f"{bias:+.2f} ± {sem:.2f} %" if abs(bias) < 50 else "unstable"
    else:
        heat = f"{row['heat_kT']:.0f} ± {row['sem']:.0f} kT"
    return f"{heat}, {row[measure]:.3f}"


def main(count: int = 4000) -> None:
    """Measure and print."""
    found: dict[str, Any] = {}
    three = {
        "exact, code": (Settings.of("exact", compress=1e-4), count, STEPS),
        "exact, tile": (Settings.of("exact", imprint="tile", compress=1e-4), count, STEPS),
        "published rule": (Settings(), count // 4, COARSE),
    }
    for name, (settings, n, steps) in three.items():
        print(f"== {name}", flush=True)
        experiment = prepare(settings)
        control = experiment.train().computer
        judged = by_prototypes(experiment.images.standardised())
        found[name] = measured(control, experiment.schedule, n, cells(steps, 250), judged)
        keep("steps", found)
    print("== ten digits", flush=True)
    split = load_split("../shared/data/mnist.npz")
    from benchmarks.ten_digits import subset

    settings = ConditionalSettings()
    control = train_conditional(subset(split.training, 500), settings).control
    wanted = cells((500, 250, 125, 83, 62), 250)
    found["ten digits"] = measured(control, settings.schedule, count // 2, wanted, by_classifier(split))
    keep("steps", found)


if __name__ == "__main__":
    main()

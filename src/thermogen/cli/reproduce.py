"""The command of the main job."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

import thermogen as tg
from thermogen.cli import options as o
from thermogen.cli.app import app
from thermogen.cli.console import print_json, print_results, stage, stoppable
from thermogen.cli.tables import print_comparison
from thermogen.errors import require
from thermogen.studies.options import RUN
from thermogen.studies.settings import Settings


@app.command()
@o.with_fields(Settings, without=("per_class", "t_f"))
def reproduce(
    given: dict[str, Any],
    second_trainer: Annotated[
        str | None,
        typer.Option(
            help="A second trainer, with its own defaults, for comparison in the report, e.g. exact.",
            rich_help_panel=RUN,
        ),
    ] = None,
    count: o.Count = 1000,
    paths: o.Paths = 30,
    dt: o.Dt = None,
    out: o.OutFolder = Path("runs/reproduce"),
    images: o.Images = None,
    baselines: o.Baselines = "all",
    integrator: o.Integrator = "euler",
    resume: o.Resume = False,
    force: o.Force = False,
    json: o.Json = False,
) -> None:
    """Reproduce the published result end to end: train, generate, measure, write the report.

    Defaults are the published setting: digits 0, 1, 2, tiled imprint, batch rule, 100 cycles,
    dt = 1e-3, 1,000 samples. Exact training has its own defaults. With a number, --dt is the time step of
    training too. --images and --baselines need --digits all. Writes report.html, results.json,
    samples.npz, samples.gif, figures/ and model/ into --out. Takes 80 seconds on two cores.

    Examples:

        thermogen reproduce

        thermogen reproduce --trainer exact --out runs/exact

        thermogen reproduce --second-trainer exact --out runs/both

        thermogen reproduce --digits all --images mnist.npz --count 10000 --out runs/ten
    """
    from thermogen.studies.published import Measures
    from thermogen.studies.published import reproduce as run
    from thermogen.studies.time_step import AUTO, number_of

    how: dict[str, Any] = {"resume": resume, "force": force, "stage": stage}
    digits = given.pop("digits")
    all_classes = digits.strip() == "all"
    with stoppable(f"finished work is kept in {out}: go on with --resume"):
        if all_classes:
            results = _reproduce_all(images, given["seed"], count, out, baselines=baselines, dt=dt, **how)
        else:
            if dt not in (None, AUTO):
                given["dt"] = number_of(dt)
            settings = Settings.of(digits=o.parse_list(digits), **given)
            measures = Measures(samples=count, paths=paths, integrator=integrator, generation_dt=dt)
            results = run(settings, measures, out, second_trainer=second_trainer, **how)
    if json:
        print_json(results)
        return
    if all_classes:
        print_comparison({**results, "out": str(out / "comparison" / "comparison.json")})
    else:
        print_results(results)
    print(f"\nreport: {out / 'report.html'}")


def _reproduce_all(images: str | None, seed: int, count: int, out: Path, **how: Any) -> dict[str, Any]:
    """The main job for all classes."""
    from thermogen.parallel import process_count
    from thermogen.studies.all_classes import reproduce_all_classes
    from thermogen.studies.conditional_settings import ConditionalSettings

    require(process_count() == 1, "--digits all cannot be shared: run it as one process")
    split, classifier = tg.load_split(images), tg.quality.load_classifier()
    return reproduce_all_classes(
        split, ConditionalSettings(seed=seed), count, out, classifier=classifier, **how
    )

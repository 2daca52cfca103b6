"""The commands on hardware: platforms, physical figures, defects, ngspice and the circuit report."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

import thermogen as tg
from thermogen.cli import options as o
from thermogen.cli.app import Group, app
from thermogen.cli.console import print_json, stage, stoppable
from thermogen.cli.tables import print_agreement, print_figures, print_platforms
from thermogen.errors import require
from thermogen.studies.options import RUN, Option

hardware = typer.Typer(
    cls=Group,
    no_args_is_help=True,
    help="Physical figures of a computer, its defects, and the same computer in ngspice.\n\nExamples:\n\n"
    "    thermogen hardware figures models/digits --heat 2800\n\n"
    "    thermogen hardware verify models/digits --out runs/circuit",
)
app.add_typer(hardware, name="hardware")

NoiseStep = Annotated[
    float,
    typer.Option(help="Interval of constant noise current, in 1 / (mobility E0).", rich_help_panel=RUN),
]
Program = Annotated[
    str | None,
    typer.Option("--ngspice", help="Path of ngspice, if it is not on the PATH.", rich_help_panel=RUN),
]


_PANEL = "The device"


@dataclass(frozen=True)
class Device:
    """The computer of a model to wire, and its platform."""

    # fmt: off
    platform: Annotated[str, Option("Platform by name.", _PANEL)] = "cmos-1fF"
    changed: Annotated[list[str] | None, Option(
        "Another value of an element, e.g. capacitance=2fF; repeat for more.", _PANEL, flag="--set")] = None
    platforms: Annotated[Path | None, Option(
        "Your own platform file.", _PANEL, default="the shipped one")] = None
    label: Annotated[int | None, Option("Class to wire, of a class-conditional model.", _PANEL)] = None
    segment: Annotated[int | None, Option(
        "Segment of time to wire, of a model whose couplings change in time.", _PANEL)] = None
    # fmt: on


def circuit_of(model: Any, given: dict[str, Any], seed: int) -> Any:
    """The computer of a model on a platform, by the options of `Device`."""
    from thermogen.hardware import record
    from thermogen.studies.circuit_model import make_circuit_model

    device, values = Device(**given), {}
    for setting in device.changed or ():
        name, value = (word.strip() for word in setting.partition("=")[::2])
        require(bool(name and value), f"--set {setting}: write NAME=VALUE, e.g. capacitance=2fF")
        values[name] = value
    platform = record(device.platform, device.platforms)
    return make_circuit_model(
        model, platform, changed=values, label=device.label, segment=device.segment, seed=seed
    )


@hardware.command("platforms")
@o.with_fields(Device, only=("platforms",))
def list_platforms(given: dict[str, Any], json: o.Json = False) -> None:
    """List the platforms: elements, ranges, and the source of every number.

    Example:

        thermogen hardware platforms
    """
    from thermogen.hardware import records

    platforms = {name: asdict(record) for name, record in records(given["platforms"]).items()}
    print_json(platforms) if json else print_platforms(platforms)


@hardware.command("figures")
@o.with_fields(Device)
def physical_figures(
    given: dict[str, Any],
    model: o.ModelFolder,
    heat: Annotated[
        float | None, typer.Option(help="Mean heat of a sample in kT, for joules and watts.")
    ] = None,
    seed: o.Seed = 0,
    json: o.Json = False,
) -> None:
    """Show a computer in volts, amperes and seconds, or in the units of its platform.

    The heat is that of the model card unless given.

    Examples:

        thermogen hardware figures models/digits --heat 2800

        thermogen hardware figures models/digits --platform josephson --set inductance=50pH
    """
    from thermogen.hardware import figures

    stored = tg.Model.from_pretrained(model)
    circuit = circuit_of(stored, given, seed)
    if heat is None and "heat_kT" in stored.figures:
        heat = stored.figures["heat_kT"]["mean"]
    quantities = figures(circuit.physical, circuit.schedule, heat, circuit.record.active)
    values = {name: {"value": q.value, "unit": q.unit} for name, q in quantities.items()}
    print_json(values) if json else print_figures(values)


@hardware.command("defects")
def draw_defects(
    model: o.ModelFolder,
    out: Annotated[Path, o.out("FILE.npz with the defect map")],
    dead: Annotated[float, typer.Option(help="Share of couplers that are dead.")] = 0.05,
    mismatch: Annotated[
        float, typer.Option(help="Mismatch s of J2, J4 and mobility: every value times exp(s z).")
    ] = 0.1,
    defective: Annotated[
        Path | None,
        typer.Option(help="Also save the model on this device, with couplings trained for a perfect one."),
    ] = None,
    seed: o.Seed = 0,
    force: o.Force = False,
) -> None:
    """Draw a device with random defects and write its defect map, for training.

    Examples:

        thermogen hardware defects models/digits --out map.npz --defective models/defective

        thermogen train --defect-map map.npz --out models/repaired
    """
    import numpy as np

    from thermogen.cli.writing import check_file
    from thermogen.storage.model import check_free
    from thermogen.studies.circuit_model import model_with_defects

    check_file(out, force, (".npz",))
    if defective is not None:
        check_free(defective, force)
    defects, changed = model_with_defects(tg.Model.from_pretrained(model), dead, mismatch, seed)
    np.savez_compressed(out, allow_pickle=False, **defects)
    if defective is not None:
        changed.save_pretrained(defective, force=force)
    dead_couplers = int(defects["dead"].sum()) // 2
    print(f"{dead_couplers:,} couplers dead, units differ by {100 * mismatch:.3g} %: {out}")


@hardware.command("verify")
@o.with_fields(Device)
def verify(
    given: dict[str, Any],
    model: Annotated[
        Path | None, typer.Argument(help="Model folder. Default: random computers.", metavar="MODEL")
    ] = None,
    count: o.Count = 100,
    dt: o.Dt = None,
    out: o.OutFolder = Path("runs/circuit"),
    noise_step: NoiseStep = 0.05,
    seed: o.Seed = 0,
    tolerance: Annotated[
        Path | None,
        typer.Option(help="Folder of 'thermogen sweep', for the report.", rich_help_panel=RUN),
    ] = None,
    program: Program = None,
    force: o.Force = False,
    json: o.Json = False,
) -> None:
    """Run a computer in ngspice and compare it with the library.

    Compared are a path with the same noise, a path without noise, and samples with independent noise. Heat
    and correlation must agree within four standard errors. Without MODEL: random computers of 2, 16 and 96
    units path by path, and 16 units in distribution, without --dt. Each simulator generates --count samples,
    the library by Heun's method. --out keeps finished work; the same call continues it. Writes results.json
    and, for a model, samples.npz, figures/ and report.html: the circuit report.

    Examples:

        thermogen hardware verify models/digits --count 100 --out runs/circuit

        thermogen hardware verify
    """
    from thermogen.hardware import find_ngspice, record
    from thermogen.langevin import StochasticHeun
    from thermogen.studies.circuit import verify_model, verify_random
    from thermogen.studies.time_step import at_step

    find_ngspice(program)
    with stoppable(f"finished work is kept in {out}: give the same command to go on"):
        if model is None:
            platform, changed = record(given["platform"], given["platforms"]), given["changed"]
            require(not changed, "--set without MODEL: random computers run on the platform as it is")
            results = verify_random(
                platform, out, count, seed=seed, program=program, force=force, stage=stage
            )
        else:
            stored = at_step(tg.Model.from_pretrained(model), dt, seed, StochasticHeun())
            results = verify_model(
                circuit_of(stored, given, seed),
                out,
                count,
                seed=seed,
                noise_step=noise_step,
                program=program,
                identity={"model": str(model), "label": given["label"], "segment": given["segment"]},
                tolerance=tolerance,
                force=force,
                stage=stage,
            )
    if json:
        print_json(results)
    else:
        print_agreement(results)
        print(f"\nall figures: {out}/results.json" if model is None else f"\nreport: {out}/report.html")
    if not results["agrees"]:
        raise typer.Exit(1)

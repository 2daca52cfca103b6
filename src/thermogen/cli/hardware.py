"""The commands towards a device: platforms, physical figures, netlists, ngspice, the circuit report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from thermogen.cli import options as o
from thermogen.cli.commands import app

export = typer.Typer(
    no_args_is_help=True,
    help="Write a computer for other tools: a netlist, or plain JSON.\n\nExample:\n\n"
    "    thermogen export spice models/digits --out digits.cir",
)
hardware = typer.Typer(
    no_args_is_help=True,
    help="Physical units, and the same computer in ngspice.\n\nExamples:\n\n"
    "    thermogen hardware figures models/digits --heat 2800\n\n"
    "    thermogen hardware verify models/digits --out runs/circuit",
)
app.add_typer(export, name="export")
app.add_typer(hardware, name="hardware")

_DEVICE, _RUN = "The device", "The run"
PlatformName = Annotated[
    str, typer.Option("--platform", help="Platform by name.", rich_help_panel=_DEVICE, show_default=True)
]
Changed = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="An element of another value, e.g. capacitance=2fF; repeat for more.",
        rich_help_panel=_DEVICE,
        show_default=False,
    ),
]
PlatformFile = Annotated[
    Path | None,
    typer.Option(
        "--platforms",
        help="Platform file of your own (default: the shipped one).",
        rich_help_panel=_DEVICE,
        show_default=False,
    ),
]
Label = Annotated[
    int | None,
    typer.Option(help="Class to wire, of a model that draws several.", rich_help_panel=_DEVICE),
]
Segment = Annotated[
    int | None,
    typer.Option(help="Segment of time to wire, of a model whose couplings change.", rich_help_panel=_DEVICE),
]
NoiseStep = Annotated[
    float,
    typer.Option(help="Time for which a noise current is held, in 1 / (mobility E0).", rich_help_panel=_RUN),
]
Program = Annotated[
    str | None,
    typer.Option("--ngspice", help="The program, if it is not found by its name.", rich_help_panel=_RUN),
]


def _chip(
    model: Path,
    platform: str,
    changed: list[str] | None,
    platforms: Path | None,
    label: int | None,
    segment: int | None,
    seed: int,
) -> Any:
    from thermogen.hardware import record
    from thermogen.storage.model import Model
    from thermogen.studies.circuit_model import make_circuit_model

    own = record(platform, platforms)
    values = _assignments(changed)
    return make_circuit_model(
        Model.from_pretrained(model), own, changed=values, label=label, segment=segment, seed=seed
    )


def _assignments(words: list[str] | None) -> dict[str, str]:
    from thermogen.errors import require

    pairs = {}
    for word in words or ():
        name, mark, value = word.partition("=")
        require(bool(mark and name and value), f"--set {word}: write NAME=VALUE, e.g. capacitance=2fF")
        pairs[name.strip()] = value.strip()
    return pairs


@export.command("spice")
def export_spice(
    model: o.ModelFolder,
    out: Annotated[Path, typer.Option(help="FILE.cir to write.")],
    count: Annotated[int, typer.Option(help="Samples, one run after the other.", rich_help_panel=_RUN)] = 1,
    platform: PlatformName = "cmos-1fF",
    changed: Changed = None,
    platforms: PlatformFile = None,
    label: Label = None,
    segment: Segment = None,
    noise_step: NoiseStep = 0.05,
    reltol: Annotated[float, typer.Option(help="Tolerance of the simulator.", rich_help_panel=_RUN)] = 1e-3,
    noise: Annotated[
        bool, typer.Option("--noise/--no-noise", help="Thermal noise currents.", rich_help_panel=_RUN)
    ] = True,
    meter: Annotated[
        bool, typer.Option("--meter", help="Also integrate the heat, on node 'heat'.", rich_help_panel=_RUN)
    ] = False,
    seed: o.Seed = 0,
    force: Annotated[bool, typer.Option("--force", help="Replace FILE if it exists.")] = False,
) -> None:
    """Write a netlist that ngspice runs as it is: `ngspice -b FILE.cir`.

    A unit is a capacitor with a leak and a cubic current; couplings are transconductors, or summing nodes for
    low-rank couplings; noise currents are seeded. Starts in equilibrium; states go to FILE.raw.

    Examples:

        thermogen export spice models/digits --out digits.cir

        thermogen export spice models/digits --count 10 --platform cmos-100fF --out digits.cir
    """
    from thermogen.cli.work import check_file
    from thermogen.storage.run_folder import write_atomically
    from thermogen.studies.circuit_model import deck_of, transient_of

    check_file(out, force, (".cir",))
    chip = _chip(model, platform, changed, platforms, label, segment, seed)
    plan = transient_of(chip, noise_step, reltol)
    deck = deck_of(chip, count, plan, seed=seed, noisy=noise, meter=meter, raw=f"{out.stem}.raw")
    write_atomically(out, deck)
    print(f"{len(chip.physical.bias)} units, {chip.physical.couplings.count():,} couplers: {out}")
    print(f"run it: ngspice -b {out.name}")


@export.command("json")
def export_json(
    model: o.ModelFolder,
    out: Annotated[Path, typer.Option(help="FILE.json to write.")],
    platform: PlatformName = "cmos-1fF",
    changed: Changed = None,
    platforms: PlatformFile = None,
    label: Label = None,
    segment: Segment = None,
    seed: o.Seed = 0,
    force: Annotated[bool, typer.Option("--force", help="Replace FILE if it exists.")] = False,
) -> None:
    """Write every physical parameter, in SI units, as plain JSON for other tools.

    Example:

        thermogen export json models/digits --platform josephson --out digits.json
    """
    import json

    from thermogen.cli.work import check_file
    from thermogen.hardware import parameters
    from thermogen.storage.run_folder import write_atomically

    check_file(out, force, (".json",))
    chip = _chip(model, platform, changed, platforms, label, segment, seed)
    write_atomically(out, json.dumps(parameters(chip.physical, chip.schedule)) + "\n")
    print(f"{len(chip.physical.bias)} units on {platform}: {out}")


@hardware.command("platforms")
def list_platforms(platforms: PlatformFile = None, json: o.Json = False) -> None:
    """List the platforms: elements, ranges, and the source of every number.

    Example:

        thermogen hardware platforms
    """
    from dataclasses import asdict

    from thermogen.cli.console import print_json
    from thermogen.cli.tables import print_platforms
    from thermogen.hardware import records

    known = {name: asdict(one) for name, one in records(platforms).items()}
    print_json(known) if json else print_platforms(known)


@hardware.command("figures")
def physical_figures(
    model: o.ModelFolder,
    heat: Annotated[
        float | None, typer.Option(help="Mean heat of a sample in kT, for joules and watts.")
    ] = None,
    platform: PlatformName = "cmos-1fF",
    changed: Changed = None,
    platforms: PlatformFile = None,
    label: Label = None,
    segment: Segment = None,
    seed: o.Seed = 0,
    json: o.Json = False,
) -> None:
    """Show a computer in volts, amperes and seconds, or whatever its platform is made of.

    The heat is that of the model's card unless given.

    Examples:

        thermogen hardware figures models/digits --heat 2800

        thermogen hardware figures models/digits --platform josephson --set inductance=50pH
    """
    from thermogen.cli.console import print_json
    from thermogen.cli.tables import print_figures
    from thermogen.hardware import figures

    chip = _chip(model, platform, changed, platforms, label, segment, seed)
    known = chip.model.figures.get("heat_kT")
    mean = heat if heat is not None or known is None else known["mean"]
    found = figures(chip.physical, chip.schedule, mean, chip.record.active)
    if json:
        print_json({name: {"value": one.value, "unit": one.unit} for name, one in found.items()})
    else:
        print_figures({name: (one.value, one.unit) for name, one in found.items()})


@hardware.command("damage")
def damage(
    model: o.ModelFolder,
    out: Annotated[Path, typer.Option(help="FILE.npz of the defect map.")],
    dead: Annotated[float, typer.Option(help="Share of couplers that are dead.")] = 0.05,
    mismatch: Annotated[
        float, typer.Option(help="Mismatch s of J2, J4 and mobility: every value times exp(s z).")
    ] = 0.1,
    damaged: Annotated[
        Path | None,
        typer.Option(help="Also save the model as it is on this chip: couplings of the perfect one."),
    ] = None,
    seed: o.Seed = 0,
    force: o.Force = False,
) -> None:
    """Draw a damaged chip: its defect map, to train for, and the model as it works there untrained.

    Examples:

        thermogen hardware damage models/digits --out chip.npz --damaged models/damaged

        thermogen train --chip chip.npz --out models/repaired
    """
    from thermogen.cli.work import check_file
    from thermogen.storage.model import Model, check_free
    from thermogen.studies.circuit_model import model_with_defects

    check_file(out, force, (".npz",))
    if damaged is not None:
        check_free(damaged, force)
    found, changed = model_with_defects(Model.from_pretrained(model), dead, mismatch, seed)
    import numpy as np

    np.savez_compressed(out, allow_pickle=False, **found)
    if damaged is not None:
        changed.save_pretrained(damaged, force=force)
    lost = int(found["dead"].sum()) // 2
    print(f"{lost:,} couplers dead, units differ by {100 * mismatch:.3g} %: {out}")


@hardware.command("verify")
def verify(
    model: Annotated[
        Path | None, typer.Argument(help="Model folder (default: random computers).", metavar="MODEL")
    ] = None,
    count: Annotated[int, typer.Option(help="Samples by ngspice, and as many of our own.")] = 100,
    out: Annotated[Path, typer.Option(help="Folder for decks and results.")] = Path("runs/circuit"),
    platform: PlatformName = "cmos-1fF",
    changed: Changed = None,
    platforms: PlatformFile = None,
    label: Label = None,
    segment: Segment = None,
    noise_step: NoiseStep = 0.05,
    seed: o.Seed = 0,
    tolerance: Annotated[
        Path | None,
        typer.Option(help="Folder of 'thermogen sweep', for the report.", rich_help_panel=_RUN),
    ] = None,
    program: Program = None,
    force: o.Force = False,
    json: o.Json = False,
) -> None:
    """Run a computer in ngspice and lay it beside our own engine.

    The same path with the same noise, the path without noise, and samples with each engine's own noise: heat
    and likeness within four standard errors. Without MODEL: random computers of 2, 16 and 96 units, path by
    path, and 16 units in distribution. What is done is kept in --out; the same call goes on.
    Writes results.json and, for a model, samples.npz, figures/ and report.html: the circuit report.

    Examples:

        thermogen hardware verify models/digits --count 100 --out runs/circuit

        thermogen hardware verify
    """
    from thermogen.cli.console import print_json, stage, stoppable
    from thermogen.cli.tables import print_agreement
    from thermogen.errors import require
    from thermogen.hardware import find_ngspice, record
    from thermogen.studies.circuit import verify_model, verify_random

    find_ngspice(program)
    with stoppable(f"what is done is kept in {out}: give the same command to go on"):
        if model is None:
            own = record(platform, platforms)
            require(not changed, "--set without MODEL: random computers run on the platform as it is")
            results = verify_random(own, out, count, seed=seed, program=program, force=force, stage=stage)
        else:
            chip = _chip(model, platform, changed, platforms, label, segment, seed)
            results = verify_model(
                chip,
                out,
                count,
                seed=seed,
                noise_step=noise_step,
                program=program,
                identity={"model": str(model), "label": label, "segment": segment},
                tolerance=tolerance,
                force=force,
                stage=stage,
            )
    if json:
        print_json(results)
    else:
        print_agreement(results)
        print(
            f"\n{'every figure' if model is None else 'report'}: "
            f"{out / ('results.json' if model is None else 'report.html')}"
        )
    if not results["agrees"]:
        raise typer.Exit(1)

"""The commands that write a computer for other tools: a netlist, or plain JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

import thermogen as tg
from thermogen.cli import options as o
from thermogen.cli.app import app
from thermogen.cli.hardware import Device, NoiseStep, circuit_of
from thermogen.studies.options import RUN

export = typer.Typer(
    no_args_is_help=True,
    help="Write a computer for other tools: a netlist, or plain JSON.\n\nExample:\n\n"
    "    thermogen export spice models/digits --out digits.cir",
)
app.add_typer(export, name="export")


@export.command("spice")
@o.with_fields(Device)
def export_spice(
    given: dict[str, Any],
    model: o.ModelFolder,
    out: Annotated[Path, o.out("FILE.cir")],
    count: o.Count = 1,
    noise_step: NoiseStep = 0.05,
    reltol: Annotated[float, typer.Option(help="Tolerance of the simulator.", rich_help_panel=RUN)] = 1e-3,
    noise: Annotated[
        bool, typer.Option("--noise/--no-noise", help="Thermal noise currents.", rich_help_panel=RUN)
    ] = True,
    meter: Annotated[
        bool, typer.Option("--meter", help="Also integrate the heat, on node 'heat'.", rich_help_panel=RUN)
    ] = False,
    seed: o.Seed = 0,
    force: o.Force = False,
) -> None:
    """Write a netlist for ngspice: `ngspice -b FILE.cir` runs it.

    A unit is a capacitor with a leak and a cubic current; couplings are transconductors, or summing nodes for
    low-rank couplings; noise currents are seeded. Runs follow each other and start in equilibrium. ngspice
    writes the states to FILE.raw.

    Examples:

        thermogen export spice models/digits --out digits.cir

        thermogen export spice models/digits --count 10 --platform cmos-100fF --out digits.cir
    """
    from thermogen.cli.writing import check_file
    from thermogen.storage.run_folder import write_atomically
    from thermogen.studies.circuit_model import deck_of, transient_of

    check_file(out, force, (".cir",))
    circuit = circuit_of(tg.Model.from_pretrained(model), given, seed)
    plan = transient_of(circuit, noise_step, reltol)
    deck = deck_of(circuit, count, plan, seed=seed, noisy=noise, meter=meter, raw=f"{out.stem}.raw")
    write_atomically(out, deck)
    print(f"{len(circuit.physical.bias)} units, {circuit.physical.couplings.count():,} couplers: {out}")
    print(f"run it: ngspice -b {out.name}")


@export.command("json")
@o.with_fields(Device)
def export_json(
    given: dict[str, Any],
    model: o.ModelFolder,
    out: Annotated[Path, o.out("FILE.json")],
    seed: o.Seed = 0,
    force: o.Force = False,
) -> None:
    """Write every physical parameter, in SI units, as plain JSON for other tools.

    Example:

        thermogen export json models/digits --platform josephson --out digits.json
    """
    import json

    from thermogen.cli.writing import check_file
    from thermogen.hardware import parameters
    from thermogen.storage.run_folder import write_atomically

    check_file(out, force, (".json",))
    circuit = circuit_of(tg.Model.from_pretrained(model), given, seed)
    write_atomically(out, json.dumps(parameters(circuit.physical, circuit.schedule)) + "\n")
    print(f"{len(circuit.physical.bias)} units on {given['platform']}: {out}")

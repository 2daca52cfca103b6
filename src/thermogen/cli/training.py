"""The command that trains a computer."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from thermogen.cli import options as o
from thermogen.cli.commands import app


@app.command()
def train(
    out: Annotated[Path, typer.Option(help="Model folder to write.", rich_help_panel="The run")],
    images: o.ImageFile = None,
    digits: o.Digits = "",
    chip: o.DefectMap = None,
    imprint: o.Imprint = None,
    trainer: o.Trainer = "exact",
    cycles: o.Cycles = 100,
    t_f: o.Duration = 2.5,
    dt: o.Dt = 1e-3,
    seed: o.Seed = 0,
    resume: o.Resume = False,
    force: o.Force = False,
    json: o.Json = False,
    hidden: o.Hidden = 512,
    output: o.Output = 0,
    topology: o.Topology = "published",
    couplings: o.StartCouplings = None,
    kT: o.Temperature = 0.1,
    amplitude: o.Amplitude = None,
    hidden_amplitude: o.HiddenAmplitude = None,
    ramp_fraction: o.Ramp = None,
    readout: o.Readout = None,
    trajectories: o.Trajectories = 1,
    delay: o.Delay = 10,
    optimizer: o.Optimizer = "sgd",
    learning_rate: o.LearningRate = None,
    train_visible_biases: o.VisibleBiases = None,
    segments: o.Segments = 1,
    per_class: o.PerClass = False,
    ridge: o.Ridge = 0.0,
    compress: o.Compress = None,
) -> None:
    """Train a computer on the shipped digits or on your own images, and save it as a model folder.

    The default is exact training: the optimum over all thermal noise, with a code for the label on the
    hidden units and trained visible biases. The rules that follow trajectories have the published defaults.

    Examples:

        thermogen train --out models/digits

        thermogen train --images faces.npz --segments 5 --compress 1e-3 --out models/faces

        thermogen train --trainer online --imprint projection --out models/online

        thermogen train --chip chip.npz --out models/repaired
    """
    from thermogen.cli.console import print_json, stage, stoppable, training_summary
    from thermogen.errors import require
    from thermogen.parallel import first, is_first, process_count
    from thermogen.storage.model import check_free, read_card
    from thermogen.studies.experiment import prepare
    from thermogen.studies.settings import Settings

    settings = Settings.of(
        digits=o.parse_digits(digits or ("" if images else "0,1,2")),
        images=images,
        imprint=imprint,
        trainer=trainer,
        cycles=cycles,
        delay=delay,
        trajectories=trajectories,
        optimizer=optimizer,
        learning_rate=learning_rate,
        train_visible_biases=train_visible_biases,
        segments=segments,
        per_class=per_class,
        ridge=ridge,
        compress=compress,
        hidden=hidden,
        output=output,
        topology=topology,
        couplings=couplings,
        amplitude=amplitude,
        hidden_amplitude=hidden_amplitude,
        ramp_fraction=ramp_fraction,
        readout=readout,
        kT=kT,
        t_f=t_f,
        dt=dt,
        seed=seed,
    )
    require(
        trainer == "exact" or process_count() == 1,
        f"trainer {trainer!r} follows one cycle after the other, which processes cannot share: run it as one "
        "process, or use --trainer exact",
    )
    experiment = prepare(settings, chip)
    check_free(out, force)
    checkpoint = out.with_name(out.name + ".unfinished")
    first("the claim", lambda: _claim_checkpoint(checkpoint, resume, force))
    with stoppable(f"what is done is kept in {checkpoint}: go on with --resume"):
        result = experiment.train(checkpoint, stage)
    if not is_first():
        return
    experiment.model(result).save_pretrained(out, force=force)
    for part in _checkpoints(checkpoint):
        part.unlink()
    if json:
        print_json(read_card(out))
    else:
        print(f"{training_summary(result, cycles)} in {result.seconds:.1f} s; model: {out}")


def _claim_checkpoint(checkpoint: Path, resume: bool, force: bool) -> None:
    from thermogen.errors import require

    require(not (resume and force), "--resume and --force contradict each other: give one of them")
    parts = _checkpoints(checkpoint)
    if parts:
        require(
            resume or force,
            f"{checkpoint} is an unfinished training: go on with --resume, or start with --force",
        )
        if force:
            for part in parts:
                part.unlink()


def _checkpoints(checkpoint: Path) -> list[Path]:
    """The file of an unfinished training, and those of its classes."""
    return sorted(
        path for path in (checkpoint, *checkpoint.parent.glob(f"{checkpoint.name}.*")) if path.exists()
    )

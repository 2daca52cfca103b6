"""The options that commands share, each described once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

_DATA, _COMPUTER, _TRAINING = "What is learnt", "The computer", "How it is trained"
_RUN = "The run"
_STEP = "The step"

Digits = Annotated[
    str, typer.Option(help="Classes to learn, one image of each, e.g. 0,1,2.", rich_help_panel=_DATA)
]
ImageFile = Annotated[
    str | None,
    typer.Option(
        "--images",
        help="Your own image set: .npz with 'images' (and 'labels'), .npy, idx(.gz) or .png. "
        "Without --digits every image in it is learnt.",
        rich_help_panel=_DATA,
    ),
]
DefectMap = Annotated[
    Path | None,
    typer.Option(
        "--chip",
        help="Defect map of the chip to train for: an .npz file with J2, J4, mobility of every unit and dead "
        "couplers, e.g. by 'thermogen hardware damage'.",
        rich_help_panel=_COMPUTER,
    ),
]
Imprint = Annotated[
    str | None,
    typer.Option(
        help="What the hidden units feel of an image while it is noised: 'tile' (its pixels, as published), "
        "'projection' (random mixtures of them), 'code' (a pattern of signs for its class) or 'groups' (a "
        "group of units for its class). Default: code for exact training, else tile.",
        rich_help_panel=_DATA,
    ),
]
Amplitude = Annotated[
    float | None,
    typer.Option(
        help="Field per unit of image contrast, in E0 (default: 2, as published; exact training 2.5 with a "
        "code, 1.75 without).",
        rich_help_panel=_DATA,
    ),
]
HiddenAmplitude = Annotated[
    float | None,
    typer.Option(
        help="Field A' of the 'code' and 'groups' imprints, in E0 (default: 6; exact training 5).",
        rich_help_panel=_DATA,
    ),
]
Ramp = Annotated[
    float | None,
    typer.Option(
        help="Part of t_f in which the field is ramped away (default: 0.75, as published; exact 0.4).",
        rich_help_panel=_DATA,
    ),
]
Readout = Annotated[
    float | None,
    typer.Option(
        help="Time over which the visible units are averaged when read (default: 0, as published; exact "
        "training 0.4).",
        rich_help_panel=_COMPUTER,
    ),
]
Hidden = Annotated[int, typer.Option(help="Number of hidden units.", rich_help_panel=_COMPUTER)]
Output = Annotated[
    int,
    typer.Option(
        help="Number of output units: they feel a code of the label and are coupled to the hidden units.",
        rich_help_panel=_COMPUTER,
    ),
]
Topology = Annotated[
    str,
    typer.Option(
        help="Who is coupled: 'published' (visible-hidden and hidden-hidden), 'all', 'planes' (nearest "
        "neighbours) or 'planes:RADIUS', 'scattered:NEIGHBOURS' (near and far), 'low-rank:R' (as published, "
        "through R nodes a link), 'modes:R' (all, through R nodes), links such as "
        "'visible-hidden,visible-visible', a .npy file with an (N, N) mask, or an .npz file with 'pairs' "
        "(edges, 2) or of scipy.sparse.",
        rich_help_panel=_COMPUTER,
    ),
]
StartCouplings = Annotated[
    str | None,
    typer.Option(
        "--couplings",
        help="A .npy file with the symmetric (N, N) matrix to start from (default: no couplings).",
        rich_help_panel=_COMPUTER,
    ),
]
Temperature = Annotated[float, typer.Option("--kT", help="Thermal energy in E0.", rich_help_panel=_COMPUTER)]
Trainer = Annotated[
    str,
    typer.Option(
        help="'exact' (the optimum over all thermal noise, no trajectories), or when the gradient of sampled "
        "trajectories is applied: 'batch' (after each), 'online' (each step), 'delayed' (every --delay).",
        rich_help_panel=_TRAINING,
    ),
]
Cycles = Annotated[int, typer.Option(help="Training cycles.", rich_help_panel=_TRAINING)]
Trajectories = Annotated[
    int, typer.Option(help="Noising trajectories averaged per cycle.", rich_help_panel=_TRAINING)
]
Delay = Annotated[
    int, typer.Option(help="Steps between updates of the delayed rule.", rich_help_panel=_TRAINING)
]
Optimizer = Annotated[
    str,
    typer.Option(
        help="'sgd' (plain descent, as published), 'momentum', 'adam' or 'rmsprop'.",
        rich_help_panel=_TRAINING,
    ),
]
LearningRate = Annotated[
    float | None,
    typer.Option(help="Learning rate (default: 1e-3 / t_f = 4e-4, as published).", rich_help_panel=_TRAINING),
]
VisibleBiases = Annotated[
    bool | None,
    typer.Option(
        "--train-visible-biases/--hidden-biases-only",
        help="Train the biases of visible units too (default: with exact training of a code).",
        rich_help_panel=_TRAINING,
    ),
]
_EXACT = "Exact training"
Segments = Annotated[
    int,
    typer.Option(
        help="Parts of the generation time, each with couplings of its own.", rich_help_panel=_EXACT
    ),
]
PerClass = Annotated[
    bool,
    typer.Option(
        "--per-class",
        help="Couplings of their own for every class: draw any on demand.",
        rich_help_panel=_EXACT,
    ),
]
Ridge = Annotated[
    float,
    typer.Option(help="Variance added to every unit, to keep couplings small.", rich_help_panel=_EXACT),
]
Compress = Annotated[
    float | None,
    typer.Option(
        help="Replace the couplings by low-rank ones with this relative error of the force, e.g. 1e-3.",
        rich_help_panel=_EXACT,
    ),
]
Duration = Annotated[
    float,
    typer.Option("--t-f", help="Duration t_f of noising and of generation.", rich_help_panel=_RUN),
]
Dt = Annotated[float, typer.Option(help="Time step, in 1 / (mobility E0).", rich_help_panel=_RUN)]
Seed = Annotated[int, typer.Option(help="Seed of all randomness.", rich_help_panel=_RUN)]
Integrator = Annotated[
    str,
    typer.Option(help="'euler' (as published), 'heun' or 'leimkuhler-matthews'.", rich_help_panel=_STEP),
]
AskedDt = Annotated[
    str | None,
    typer.Option(
        "--dt",
        help="Time step (default: the model's); 'auto': the largest that suits couplings and integrator.",
        show_default=False,
        rich_help_panel=_STEP,
    ),
]
Noise = Annotated[
    str,
    typer.Option(help="'gaussian', or 'three-point': five moments right and faster.", rich_help_panel=_STEP),
]
Products = Annotated[
    str,
    typer.Option(
        help="'full', or 'bfloat16': couplings and states to 8 bits where they are multiplied.",
        rich_help_panel=_STEP,
    ),
]
Double = Annotated[bool, typer.Option("--double", help="Simulate in float64.", rich_help_panel=_STEP)]
Resume = Annotated[
    bool,
    typer.Option("--resume", help="Go on where an interrupted run stopped.", rich_help_panel=_RUN),
]
Force = Annotated[
    bool,
    typer.Option("--force", help="Replace what an older run left in --out.", rich_help_panel=_RUN),
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.", rich_help_panel=_RUN)]
_PROCESSES = "One of several processes, see docs/parallel.md"
Coordinator = Annotated[
    str | None,
    typer.Option(metavar="HOST:PORT", help="Address of process 0.", rich_help_panel=_PROCESSES),
]
Processes = Annotated[int | None, typer.Option(help="How many there are.", rich_help_panel=_PROCESSES)]
ProcessId = Annotated[
    int | None, typer.Option(help="Which of them this one is, from 0.", rich_help_panel=_PROCESSES)
]
Cluster = Annotated[
    bool,
    typer.Option(
        "--cluster",
        help="Learn all this from what SLURM, Open MPI or Kubernetes have set.",
        rich_help_panel=_PROCESSES,
    ),
]
ModelFolder = Annotated[
    Path,
    typer.Argument(
        metavar="MODEL", help="A model folder, or a shipped model: three-digits, ten-digits, published."
    ),
]


def parse_digits(text: str) -> tuple[int, ...]:
    """'0,1,2' as numbers; InputError for anything else."""
    from thermogen.errors import InputError

    try:
        return tuple(int(part) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise InputError(f"digits {text!r} are no list of whole numbers: write e.g. 0,1,2") from error

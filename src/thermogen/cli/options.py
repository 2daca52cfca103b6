"""The options that commands share, each described once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

_DATA, _COMPUTER, _TRAINING = "What is learnt", "The computer", "How it is trained"
_RUN = "The run"

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
Imprint = Annotated[
    str,
    typer.Option(
        help="What the hidden units feel of an image while it is noised: 'tile' (its pixels, as published), "
        "'projection' (random mixtures of them) or 'code' (a code for its class; use with "
        "--train-visible-biases).",
        rich_help_panel=_DATA,
    ),
]
Amplitude = Annotated[
    float, typer.Option(help="Field per unit of image contrast, in E0.", rich_help_panel=_DATA)
]
HiddenAmplitude = Annotated[
    float, typer.Option(help="Field of the 'code' imprint, in E0; 5 to 8 work well.", rich_help_panel=_DATA)
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
        "neighbours), links such as 'visible-hidden,visible-visible', or a .npy file with an (N, N) mask.",
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
        help="When the gradient is applied: 'batch' (after each trajectory), 'online' (after every step) or "
        "'delayed' (every --delay steps); or 'exact': the optimum over all thermal noise, no trajectories.",
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
    bool,
    typer.Option(
        "--train-visible-biases", help="Train the biases of visible units too.", rich_help_panel=_TRAINING
    ),
]
Dt = Annotated[float, typer.Option(help="Time step, in 1 / (mobility E0).", rich_help_panel=_RUN)]
Seed = Annotated[int, typer.Option(help="Seed of all randomness.", rich_help_panel=_RUN)]
Integrator = Annotated[
    str,
    typer.Option(help="'euler' (as published), 'heun' or 'leimkuhler-matthews'.", rich_help_panel=_RUN),
]
Resume = Annotated[
    bool,
    typer.Option("--resume", help="Go on where an interrupted run stopped.", rich_help_panel=_RUN),
]
Force = Annotated[
    bool,
    typer.Option("--force", help="Replace what an older run left in --out.", rich_help_panel=_RUN),
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.", rich_help_panel=_RUN)]
ModelFolder = Annotated[Path, typer.Argument(metavar="MODEL", help="A model folder.")]


def parse_digits(text: str) -> tuple[int, ...]:
    """'0,1,2' as numbers; InputError for anything else."""
    from thermogen.errors import InputError

    try:
        return tuple(int(part) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise InputError(f"digits {text!r} are no list of whole numbers: write e.g. 0,1,2") from error

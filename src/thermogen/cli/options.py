"""The options that commands share. Options of settings come from their annotated fields."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import fields
from functools import partial
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import typer

from thermogen.errors import InputError
from thermogen.studies.options import COMPUTER, RUN, options_of
from thermogen.studies.settings import Settings

_run, _step, _process = (
    partial(typer.Option, rich_help_panel=panel)
    for panel in (RUN, "The step", "One of several processes, see docs/parallel.md")
)
_KEYWORD = inspect.Parameter.KEYWORD_ONLY


def option_of(settings: type, name: str) -> Any:
    """The typer option of an annotated field of settings."""
    _, option = options_of(settings)[name]
    text = option.help if option.default is None else f"{option.help} Default: {option.default}."
    flag = option.flag or "--" + name.replace("_", "-")
    return typer.Option(flag, help=text, rich_help_panel=option.panel)


def _type_of(settings: type, name: str) -> Any:
    """The type of the parameter of a command for an annotated field of settings."""
    kind, option = options_of(settings)[name]
    if get_origin(kind) is tuple:
        kind = str
    if option.default is not None and NoneType not in get_args(kind):
        kind = kind | None
    return Annotated[kind, option_of(settings, name)]


def with_fields(
    settings: type, *, only: tuple[str, ...] = (), without: tuple[str, ...] = (), **defaults: Any
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command an option for each annotated field of `settings`; it receives them in the dict `given`.

    only, without: names of fields. defaults: values that replace those of the fields. Parameters of the
    command itself do not change.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        hints = get_type_hints(command, include_extras=True)
        options = options_of(settings)
        stated = {field.name: field.default for field in fields(settings)}
        stated |= {name: None for name, (_, option) in options.items() if option.default}
        stated |= {name: ",".join(map(str, value)) for name, value in stated.items() if type(value) is tuple}
        chosen = [name for name in only or options if name not in hints and name not in without]
        parameters = [
            parameter.replace(annotation=hints[name])
            for name, parameter in inspect.signature(command).parameters.items()
            if name != "given"
        ]
        for name in chosen:
            default, kind = (stated | defaults)[name], _type_of(settings, name)
            parameters.append(inspect.Parameter(name, _KEYWORD, default=default, annotation=kind))

        def call(**values: Any) -> None:
            given = {name: values.pop(name) for name in chosen}
            command(given=given, **values)

        call.__name__, call.__doc__ = command.__name__, command.__doc__
        call.__signature__ = inspect.Signature(parameters)  # pyright: ignore[reportFunctionMemberAccess]
        call.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return call

    return decorate


def out(what: str) -> Any:
    """`--out`: where a command writes."""
    return _run("--out", help=f"Where to write: {what}.", show_default=True)


ModelFolder = Annotated[
    Path,
    typer.Argument(
        metavar="MODEL", help="A model folder, or a shipped model: three-digits, ten-digits, published."
    ),
]
OutModel = Annotated[Path, out("a model folder")]
OutFolder = Annotated[Path, out("a folder for the results")]
OutNumbers = Annotated[Path | None, out("FILE.json with the numbers (default: only print them)")]
Images = Annotated[
    str | None,
    _run(
        "--images",
        help="Image set: .npz with 'images' (and 'labels'), .npy, IDX (.gz), .png, or a folder of PNG or IDX "
        "files. Default: the shipped digits.",
    ),
]
DefectMap = Annotated[
    Path | None,
    typer.Option(
        "--defect-map",
        help="Defect map of the device to train for: an .npz file with J2, J4, mobility of every unit and "
        "dead couplers, e.g. from 'thermogen hardware defects'.",
        rich_help_panel=COMPUTER,
    ),
]
Classifier = Annotated[
    Path | None,
    _run(
        "--classifier",
        help="Classifier for the evaluation, written by tools/train_classifier.py. Default: the shipped one "
        "for 28 x 28 digits.",
    ),
]
Count = Annotated[int, _run("--count", help="Number of samples, or of images where images are shown.")]
Paths = Annotated[int, _run("--paths", help="Noising paths for the path ratio.")]
Dt = Annotated[
    str | None,
    _run(
        "--dt",
        help="Time step of generation, in 1 / (mobility E0): a number, or 'auto', the largest step that fits "
        "couplings and integrator. Default: 1e-3 for models of the published setting, auto for others.",
        show_default=False,
    ),
]
Seed = Annotated[int, option_of(Settings, "seed")]
Resume = Annotated[bool, _run("--resume", help="Continue an interrupted run.")]
Force = Annotated[bool, _run("--force", help="Replace what an older run left in --out.")]
Json = Annotated[bool, _run("--json", help="Print the result as JSON.")]
Baselines = Annotated[str, _run("--baselines", help="Baselines, separated by commas, or 'all'.")]
Integrator = Annotated[str, _step(help="'euler' (as published), 'heun' or 'leimkuhler-matthews'.")]
Noise = Annotated[str, _step(help="'gaussian', or 'three-point': five correct moments, and faster.")]
Products = Annotated[
    str, _step(help="'full', or 'bfloat16': round couplings and states to 8 bits in their products.")
]
Double = Annotated[bool, _step("--double", help="Simulate in float64.")]
Coordinator = Annotated[str | None, _process(metavar="HOST:PORT", help="Address of process 0.")]
Processes = Annotated[int | None, _process(help="Number of processes.")]
ProcessId = Annotated[int | None, _process(help="Number of this process, from 0.")]
Cluster = Annotated[
    bool, _process("--cluster", help="Read all this from what SLURM, Open MPI or Kubernetes set.")
]


def parse_list(text: str, kind: type = int, name: str = "digits", example: str = "0,1,2") -> tuple[Any, ...]:
    """'0,1,2' as numbers; InputError for anything else."""
    try:
        return tuple(kind(word) for word in text.split(",") if word.strip())
    except ValueError as error:
        kinds = "whole numbers" if kind is int else "numbers"
        raise InputError(f"{name} {text!r} are no list of {kinds}: write e.g. {example}") from error

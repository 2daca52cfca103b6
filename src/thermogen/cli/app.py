"""The typer application. Commands import heavy modules inside their functions, so that help is fast."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from thermogen.cli import options as o
from thermogen.cli.processes import join
from thermogen.errors import InputError

if TYPE_CHECKING:
    from typer import Context
else:  # typer passes the base class
    Context = typer.Context.__base__

ROOMS = ("reproduce", "studio", "training", "models", "conditional", "energy", "claims", "export", "hardware",
         "sweep", "speed", "launch")  # fmt: skip
"""Modules that add their commands, in the order of the help."""
NEW_NAMES = {
    "train-modes": "train-conditional",
    "read": "classify",
    "damage": "defects",
    "--flaw": "--imperfection",
    "--chip": "--defect-map",
    "--damaged": "--defective",
    "--beside": "--second-trainer",
    "--rivals": "--baselines",
    "--samples": "--count",
}
"""Commands and options of older versions, with their present names."""


class Group(TyperGroup):
    """Commands by name. A name of an older version is refused, in one line with the new name."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command of the first word."""
        command, *words = args
        own = words[: words.index("--")] if "--" in words else words
        options = [word.partition("=")[0] for word in own if word.startswith("--")]
        group = f"{ctx.info_name} " if ctx.parent else ""
        if command not in self.commands and command in NEW_NAMES:
            new = group + NEW_NAMES[command]
            raise InputError(f"{group}{command} is now {new}: see 'thermogen {new} --help'")
        for option in options:
            if option in NEW_NAMES:
                new = NEW_NAMES[option]
                raise InputError(f"{option} is now {new}: see 'thermogen {group}{command} --help'")
        return super().resolve_command(ctx, args)


app = typer.Typer(
    name="thermogen",
    cls=Group,
    help="Train networks of fluctuating units to generate images from thermal noise, and account for the "
    "heat.\n\nExamples:\n\n    thermogen reproduce\n\n"
    "    thermogen train --images mine.npz --out models/mine\n\n"
    "    thermogen sample models/mine --count 100 --out pictures.png\n\n"
    "    thermogen train --help",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def application() -> Any:
    """The typer application with all its commands."""
    for room in ROOMS:
        import_module(f"thermogen.cli.{room}")
    return app


def _version(value: bool | None) -> None:
    if value:
        from importlib.metadata import version

        print(f"thermogen {version('thermogen')}")
        raise typer.Exit


@app.callback()
def _root(
    context: Context,
    version: Annotated[
        bool | None, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = None,
    coordinator: o.Coordinator = None,
    processes: o.Processes = None,
    process_id: o.ProcessId = None,
    cluster: o.Cluster = False,
) -> None:
    join(context.invoked_subcommand, coordinator, processes, process_id, cluster)

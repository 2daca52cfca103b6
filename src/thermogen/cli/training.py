"""The command that trains a computer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from thermogen.cli import options as o
from thermogen.cli.app import app
from thermogen.cli.console import print_json, stage, stoppable, training_summary
from thermogen.errors import require
from thermogen.studies.settings import Settings


@app.command()
@o.with_fields(Settings, digits="", trainer="exact")
def train(
    given: dict[str, Any],
    out: o.OutModel,
    images: o.Images = None,
    defect_map: o.DefectMap = None,
    resume: o.Resume = False,
    force: o.Force = False,
    json: o.Json = False,
) -> None:
    """Train a computer on the shipped digits or on your own images, and save it as a model folder.

    The default is exact training: the optimum over all thermal noise, with a code for the label on the
    hidden units and trained visible biases. Rules that follow trajectories have the published defaults.
    Default of --digits: every image of --images, or digits 0, 1, 2 of the shipped images.

    Examples:

        thermogen train --out models/digits

        thermogen train --images faces.npz --segments 5 --compress 1e-3 --out models/faces

        thermogen train --trainer online --imprint projection --out models/online

        thermogen train --defect-map map.npz --out models/repaired
    """
    from thermogen.parallel import first, is_first, process_count
    from thermogen.storage.model import check_free, read_card
    from thermogen.studies.experiment import prepare

    digits = o.parse_list(given.pop("digits") or ("" if images else "0,1,2"))
    settings = Settings.of(digits=digits, images=images, **given)
    require(
        settings.trainer == "exact" or process_count() == 1,
        f"trainer {settings.trainer!r} follows one cycle after the other, which processes cannot share: run "
        "it as one process, or use --trainer exact",
    )
    experiment = prepare(settings, defect_map)
    check_free(out, force)
    checkpoint = out.with_name(out.name + ".unfinished")
    first("the claim", lambda: _claim_checkpoint(checkpoint, resume, force))
    with stoppable(f"finished work is kept in {checkpoint}: go on with --resume"):
        result = experiment.train(checkpoint, stage)
    if not is_first():
        return
    experiment.model(result).save_pretrained(out, force=force)
    for file in _checkpoints(checkpoint):
        file.unlink()
    if json:
        print_json(read_card(out))
    else:
        print(f"{training_summary(result, settings.cycles)} in {result.seconds:.1f} s; model: {out}")


def _claim_checkpoint(checkpoint: Path, resume: bool, force: bool) -> None:
    require(not (resume and force), "--resume and --force contradict each other: give one of them")
    for file in _checkpoints(checkpoint):
        advice = "go on with --resume, or start with --force"
        require(resume or force, f"{checkpoint} is an unfinished training: {advice}")
        if force:
            file.unlink()


def _checkpoints(checkpoint: Path) -> list[Path]:
    """The files of an unfinished training: its own, and those of its classes."""
    files = (checkpoint, *checkpoint.parent.glob(f"{checkpoint.name}.*"))
    return sorted(file for file in files if file.exists())

"""All claims, run one after the other: what is done is kept, and ends in a table and a page."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from thermogen.errors import InputError, require
from thermogen.storage.model import versions
from thermogen.storage.run_folder import write_atomically
from thermogen.studies.claims import devices, driven, heat, online, reading, structure
from thermogen.studies.claims.base import VERDICTS, Claim, Lab, Plan
from thermogen.studies.claims.page import markdown
from thermogen.studies.progress import Stage, silent

CLAIMS: tuple[Claim, ...] = tuple(
    sorted(
        (claim for module in (heat, structure, online, devices, driven, reading) for claim in module.CLAIMS),
        key=lambda claim: claim.number,
    )
)
"""Every claim that the library tests, by number."""


def chosen_claims(numbers: Iterable[int]) -> list[Claim]:
    """The claims of these numbers, all for none. Raises InputError for a number that no claim has."""
    wanted = list(numbers)
    known = {claim.number: claim for claim in CLAIMS}
    for number in wanted:
        if number not in known:
            raise InputError(f"claim {number} is not in the list: choose among {min(known)} to {max(known)}")
    return [claim for claim in CLAIMS if not wanted or claim.number in wanted]


def run_claims(
    plan: Plan, out: Path, numbers: Iterable[int] = (), *, force: bool = False, stage: Stage = silent
) -> dict[str, Any]:
    """Run claims into the folder `out`, all or those of `numbers`, and return what was found.

    Each run of each claim is kept in the folder, so a call that was interrupted, or one that asks for more
    claims, does only what is missing. With `force` nothing kept of these claims is used. Writes claims.json
    and claims.md, with every claim whose runs are kept.
    Raises InputError for unknown claims and for a folder that holds something else.
    """
    claims = chosen_claims(numbers)
    _check_folder(out)
    out.mkdir(parents=True, exist_ok=True)
    lab = Lab(out)
    if force:
        lab.forget(run for claim in claims for run in claim.runs(plan))
    for claim in claims:
        runs = claim.runs(plan)
        with stage(f"claim {claim.number}", len(runs)) as tick:
            for done, run in enumerate(runs):
                tick(done, run.name)
                lab.figures(run)
    # The files hold every claim whose runs are there, so that one claim run again does not lose the others.
    known = [claim for claim in CLAIMS if all(lab.kept(run) for run in claim.runs(plan))]
    content = _content(plan, lab, known)
    write_atomically(out / "claims.json", json.dumps(content, indent=2) + "\n")
    write_atomically(out / "claims.md", markdown(content))
    return content if len(claims) == len(CLAIMS) else _content(plan, lab, claims)


def _content(plan: Plan, lab: Lab, claims: list[Claim]) -> dict[str, Any]:
    """What claims.json says of some claims, judged from their kept runs."""
    rows = []
    for claim in claims:
        finding = claim.judge(plan, {run.key: lab.figures(run) for run in claim.runs(plan)})
        assert finding.verdict in VERDICTS
        rows.append(
            {
                "number": claim.number,
                "name": claim.name,
                "source": claim.source,
                "published": claim.published,
                **finding._asdict(),
            }
        )
    return {
        "plan": {name: value for name, value in vars(plan).items() if name != "images"},
        "images": None if plan.images is None else plan.images.training.source,
        "claims": rows,
        "seconds": lab.seconds(run for claim in claims for run in claim.runs(plan)),
        "versions": versions(),
    }


def _check_folder(out: Path) -> None:
    require(not out.exists() or out.is_dir(), f"{out} is a file: choose another --out")
    known = {"runs", "models", "claims.json", "claims.md"}
    if out.exists():
        strange = sorted(path.name for path in out.iterdir() if path.name not in known)
        require(not strange, f"{out} holds {', '.join(strange[:3])}: it is kept; choose another --out")

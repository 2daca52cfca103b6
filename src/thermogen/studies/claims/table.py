"""All claims, run in turn: finished runs are kept, and the verdicts are a table and a page."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from thermogen.errors import InputError, require
from thermogen.storage.cache import ResultCache
from thermogen.storage.model import versions
from thermogen.storage.run_folder import write_atomically
from thermogen.studies.claims import classifier, devices, driven, heat, online, structure
from thermogen.studies.claims.base import VERDICTS, Claim, Plan
from thermogen.studies.claims.page import markdown
from thermogen.studies.progress import Stage, silent

_MODULES = (heat, structure, online, devices, driven, classifier)
CLAIMS: tuple[Claim, ...] = tuple(
    sorted((claim for module in _MODULES for claim in module.CLAIMS), key=lambda claim: claim.number)
)
"""Every claim that the library tests, by number."""


def chosen_claims(numbers: Iterable[int]) -> list[Claim]:
    """The claims of these numbers, all for none. Raises InputError for a number that no claim has."""
    wanted = list(numbers)
    listed = [claim.number for claim in CLAIMS]
    for number in wanted:
        if number not in listed:
            raise InputError(
                f"claim {number} is not in the list: choose among {min(listed)} to {max(listed)}"
            )
    return [claim for claim in CLAIMS if not wanted or claim.number in wanted]


def run_claims(
    plan: Plan, out: Path, numbers: Iterable[int] = (), *, force: bool = False, stage: Stage = silent
) -> dict[str, Any]:
    """Run claims into the folder `out`, all or those of `numbers`, and return their verdicts and figures.

    The folder keeps each run, so an interrupted call, or a call with more claims, runs only what is missing.
    `force` runs these claims again. Writes claims.json and claims.md, with every claim whose runs are kept.
    Raises InputError for unknown claims and for a folder with other content.
    """
    claims = chosen_claims(numbers)
    _check_folder(out)
    out.mkdir(parents=True, exist_ok=True)
    cache = ResultCache(out)
    if force:
        for run in (run for claim in claims for run in claim.runs(plan)):
            cache.file(*run.place).unlink(missing_ok=True)
        shutil.rmtree(out / "models", ignore_errors=True)
    for claim in claims:
        runs = claim.runs(plan)
        with stage(f"claim {claim.number}", len(runs)) as tick:
            for done, run in enumerate(runs):
                tick(done, run.name)
                run.figures(cache)
    # The files hold every claim whose runs are kept, so that one claim run again does not lose the others.
    complete = [claim for claim in CLAIMS if all(cache.kept(*run.place) for run in claim.runs(plan))]
    content = _content(plan, cache, complete)
    write_atomically(out / "claims.json", json.dumps(content, indent=2) + "\n")
    write_atomically(out / "claims.md", markdown(content))
    return content if len(claims) == len(CLAIMS) else _content(plan, cache, claims)


def _content(plan: Plan, cache: ResultCache, claims: list[Claim]) -> dict[str, Any]:
    """The content of claims.json for claims whose runs are kept."""
    runs = {run.key: run for claim in claims for run in claim.runs(plan)}
    kept = {key: cache.kept(*run.place) or {} for key, run in runs.items()}
    results = {key: record["content"] for key, record in kept.items()}
    rows = []
    for claim in claims:
        finding = claim.verdict(plan, {run.key: results[run.key] for run in claim.runs(plan)})
        assert finding.verdict in VERDICTS
        about = {name: getattr(claim, name) for name in ("number", "name", "source", "published")}
        rows.append({**about, **finding._asdict()})
    return {
        "plan": {name: value for name, value in vars(plan).items() if name != "images"},
        "images": None if plan.images is None else plan.images.training.source,
        "claims": rows,
        "seconds": sum(record["seconds"] for record in kept.values()),
        "versions": versions(),
    }


def _check_folder(out: Path) -> None:
    require(not out.exists() or out.is_dir(), f"{out} is a file: choose another --out")
    if out.exists():
        names = {path.name for path in out.iterdir()} - {"runs", "models", "claims.json", "claims.md"}
        require(not names, f"{out} holds {', '.join(sorted(names)[:3])}: it is kept; choose another --out")

"""Write docs/benchmarks.md from the history of benches and stored figures: `python -m benchmarks.page`."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "benchmarks.md"

# The page with the figures of each benchmark.
PAGES = {
    "bench": "speed",
    "steps": "speed",
    "speed": "results",
    "end_to_end": "results",
    "physics_table": "results",
    "online_against_batch": "results",
    "image_scale": "results",
    "exact_training": "exact-training",
    "exact_choices": "exact-training",
    "exact_mnist": "exact-training",
    "repair": "exact-training",
    "ten_digits": "all-classes",
    "refinement": "all-classes",
    "low_rank": "speed",
    "large": "large",
    "claims": "claims",
    "circuit": "hardware",
    "tolerance": "tolerance",
    "processes": "parallel",
}
STEPS = ("full", "full, bfloat16", "full, Heun", "low rank", "low rank, weak noise", "planes")


def page() -> str:
    """The page, from history.jsonl and results/*.json."""
    history = [json.loads(line) for line in (HERE / "history.jsonl").read_text().splitlines()]
    return _TEXT.format(history=_history(history), samples=_samples(history), kept=_kept())


def main() -> None:
    """Write the page."""
    PAGE.write_text(page())


def _history(history: list[dict[str, Any]]) -> str:
    rows = [
        [
            row["when"][:16].replace("T", " "),
            row["versions"]["thermogen"],
            row["versions"]["jax"],
            f"{row['machine']['processor']}, {row['machine']['cores']} cores",
            row["batch"],
            *(f"{row['steps'][name]['ms']:.3f}" for name in STEPS),
            f"{row['steps']['full']['of_its_products']['median']:.2f}",
        ]
        for row in history
    ]
    head = ["when (UTC)", "thermogen", "jax", "machine", "batch", *STEPS, "full: of its products"]
    return table(head, rows)


def _samples(history: list[dict[str, Any]]) -> str:
    rows = [
        [row["when"][:16].replace("T", " "), name, one["steps"], f"{one['ms']:.2f}", f"{one['heat_kT']:.0f}"]
        for row in history
        for name, one in row.get("samples", {}).items()
    ]
    return table(["when (UTC)", "couplings, step", "steps", "ms a sample", "heat / kT"], rows)


def _kept() -> str:
    rows = []
    for path in sorted((HERE / "results").glob("*.json")):
        script = HERE / f"{path.stem}.py"
        if not script.exists():
            continue
        kept = json.loads(path.read_text())
        what = (ast.get_docstring(ast.parse(script.read_text())) or "").split("\n")[0].rstrip(".")
        versions = kept["versions"]
        shown = PAGES.get(path.stem)
        rows.append(
            [
                f"`{path.stem}`",
                what.split(": docs/")[0].split(": the page docs/")[0].replace("|", "\\|"),
                f"[{shown}.md]({shown}.md)" if shown else "–",
                f"thermogen {versions['thermogen']}, jax {versions['jax']}",
                kept.get("machine", {}).get("cores", "–"),
            ]
        )
    return table(["benchmark", "measures", "figures", "versions", "cores"], rows)


def table(head: list[Any], rows: list[list[Any]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


_TEXT = """# Benchmark history

`python -m benchmarks.page` writes this page from `benchmarks/history.jsonl` and `benchmarks/results/`. A test
compares them. `python -m benchmarks NAME` repeats a measurement. `thermogen bench --history FILE.jsonl` keeps
a history of your own machine and prints the changes since its last bench. Do not compare times of different
machines or days: quote ratios within one run.

## Steps

784 + 512 units, milliseconds a step of all samples of the batch, medians over turns. *Of its products* is the
speed of the step relative to its three matrix products alone. [Speed](speed.md#the-step-beside-its-bounds)
explains the columns.

{history}

## Samples

Three digits, trained exactly.

{samples}

## Stored figures

`benchmarks/results/NAME.json` holds the raw numbers with their versions.

{kept}
"""


if __name__ == "__main__":
    main()

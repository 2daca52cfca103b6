"""Test every published claim in its full setting: docs/claims.md. An interrupted run continues."""

from pathlib import Path

from benchmarks.common import RESULTS
from benchmarks.exact_mnist import MNIST
from thermogen.cli.console import stage
from thermogen.data import load_split
from thermogen.studies.claims import Plan, run_claims

PAGE = Path(__file__).parent.parent / "docs" / "claims.md"


def main(folder: Path = Path("runs/claims")) -> None:
    """Run the missing parts, then write page and figures."""
    run_claims(Plan.of(False, load_split(MNIST)), folder, stage=stage)
    PAGE.write_text((folder / "claims.md").read_text())
    (RESULTS / "claims.json").write_text((folder / "claims.json").read_text())


if __name__ == "__main__":
    main()

"""Published claims with verdicts from runs of this library: the content of `thermogen claims`."""

from thermogen.studies.claims.base import VERDICTS, Claim, Finding, Plan, Run
from thermogen.studies.claims.table import CLAIMS, chosen_claims, run_claims

__all__ = ["CLAIMS", "VERDICTS", "Claim", "Finding", "Plan", "Run", "chosen_claims", "run_claims"]

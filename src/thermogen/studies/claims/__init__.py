"""Published claims, each tested by runs of this library and judged: the content of `thermogen claims`."""

from thermogen.studies.claims.base import VERDICTS, Claim, Finding, Lab, Plan, Run
from thermogen.studies.claims.table import CLAIMS, chosen_claims, run_claims

__all__ = ["CLAIMS", "VERDICTS", "Claim", "Finding", "Lab", "Plan", "Run", "chosen_claims", "run_claims"]

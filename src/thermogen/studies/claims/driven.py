"""The claim of Bösch et al.: a time-dependent protocol generates two Gaussians, and zeros and ones."""

from __future__ import annotations

import numpy as np

from thermogen.data import Images, load_split
from thermogen.noising import Schedule
from thermogen.storage.cache import ResultCache
from thermogen.studies.claims.base import Claim, Figures, Finding, Plan, Run, grade
from thermogen.studies.claims.protocols import PLANE, PLANE_TIMES, Oscillators, two_gaussians, zeros_and_ones
from thermogen.studies.claims.runs import over, repeated, rows_of, say
from thermogen.studies.measures import interval

WEIGHTS = (0.5, 0.3)
STEPS_OF_TIME = 25
# Found by random search (about 400 settings): walls soft enough for grey, noise that crosses between wells.
KINDS = {
    "driven": (10, Oscillators(0.2, 0.03, 1.0, Schedule(5.0, 0.01, ramp_fraction=0.3, readout=0.25))),
    "constant": (1, Oscillators(0.21, 0.172, 2.0, Schedule(5.0, 0.01, ramp_fraction=0.4, readout=0.5))),
    "coded": (4, Oscillators(0.1, 0.02, 0.01, Schedule(20.0, 0.05, ramp_fraction=0.5, readout=0.5),
                             offset=0.15, hidden=16)),
}  # fmt: skip
"""Segments and oscillators of the digits: visible units alone in a driven or a constant potential, and with
hidden units that have a field of the class during noising."""


def _gaussians(plan: Plan, seed: int, segments: int, weight: float) -> Run:
    count = 4000 if plan.quick else 10_000
    return Run(
        f"gaussians-{seed}",
        {"segments": segments, "weight": weight, "count": count, "units": PLANE, "times": str(PLANE_TIMES)},
        lambda cache: two_gaussians(seed, count, segments, weight),
    )


def _digits(plan: Plan, seed: int, kind: str) -> Run:
    count = 200 if plan.quick else 1000
    segments, oscillators = KINDS[kind]

    def work(cache: ResultCache) -> Figures:
        split = load_split() if plan.images is None else plan.images
        learnt, held_out = (_zeros_and_ones_of(images) for images in (split.training, split.held_out))
        return zeros_and_ones(seed, count, segments, learnt, held_out, oscillators)

    data = None if plan.images is None else plan.images.training.sha256
    identity = {"segments": segments, "count": count, "data": data, "oscillators": str(oscillators)}
    return Run(f"zeros-and-ones-{kind}-{seed}", identity, work)


def _zeros_and_ones_of(images: Images) -> Images:
    """As many zeros as ones."""
    return images.choose([0, 1], each=int(min((images.labels == label).sum() for label in (0, 1))))


def _runs(plan: Plan) -> list[Run]:
    plane = [(_gaussians, segments, weight) for weight in WEIGHTS for segments in (1, STEPS_OF_TIME)]
    kinds = [*plane, *((_digits, kind) for kind in KINDS)]
    return [run for make, *given in kinds for run in repeated(plan, make, *given)]


def _verdict(plan: Plan, results: dict[str, Figures]) -> Finding:
    figures: Figures = {}
    for weight in WEIGHTS:
        for segments in (1, STEPS_OF_TIME):
            rows = rows_of(results, repeated(plan, _gaussians, segments, weight))
            figures[f"gaussians, weight {weight:g}, {segments} segments"] = {
                "distance_over_best_gaussian": interval([row["distance"] / row["gaussian"] for row in rows]),
                "floor_over_best_gaussian": interval([row["floor"] / row["gaussian"] for row in rows]),
                "share_error": interval([row["share"] - weight for row in rows]),
                "between": over(rows, "between"),
                "spread": over(rows, "spread"),
            }
    for kind in KINDS:
        rows = rows_of(results, repeated(plan, _digits, kind))
        noise, ceiling = ([row[name] for row in rows] for name in ("noise", "ceiling"))
        figures[f"digits, {kind}"] = {
            "zero_or_one_percent": interval([100 * (row["zero"] + row["one"]) for row in rows]),
            "rarer_percent": over(rows, "rarer", 100),
            "sure_percent": over(rows, "sure", 100),
            "clear_percent": over(rows, "clear", 100),
            "size": over(rows, "size"),
            "correlation": over(rows, "correlation"),
            "inverted_percent": over(rows, "inverted", 100),
            "ceiling_sure_percent": float(np.mean([100 * row["sure"] for row in ceiling])),
            "noise_sure_percent": float(np.mean([100 * row["sure"] for row in noise])),
            "noise_zero_or_one_percent": float(np.mean([100 * (row["zero"] + row["one"]) for row in noise])),
        }
    even, uneven = (figures[f"gaussians, weight {w:g}, {STEPS_OF_TIME} segments"] for w in WEIGHTS)
    rigid = figures[f"gaussians, weight {WEIGHTS[1]:g}, 1 segments"]
    driven, constant, coded = (figures[f"digits, {kind}"] for kind in KINDS)
    plane = (
        even["distance_over_best_gaussian"]["high"] < 0.2
        and uneven["distance_over_best_gaussian"]["high"] < rigid["distance_over_best_gaussian"]["low"]
    )

    def draws(kind: Figures) -> bool:
        """Both digits, at least four fifths of them clear."""
        return kind["rarer_percent"]["low"] > 10 and kind["clear_percent"]["low"] > 80

    return Finding(
        grade(plane and draws(driven), plane or draws(driven) or draws(coded)),
        f"two Gaussians: distance {say(even['distance_over_best_gaussian'], 2)} of the best Gaussian's "
        f"(floor {even['floor_over_best_gaussian']['mean']:.2f}), weights 0.3 : 0.7 wrong by "
        f"{say(uneven['share_error'], 2)}; digits clear: {say(driven['clear_percent'], 3)} % units alone, "
        f"{say(coded['clear_percent'], 3)} % with hidden units",
        figures,
        f"Couplings, biases and stiffness are constant in each of {STEPS_OF_TIME} (plane), 10 and 4 (digits) "
        "segments of t_f. No class is requested. In the plane the dependence on time distinguishes 0.3 from "
        f"0.7 (a constant potential has an error of {say(rigid['share_error'], 2)}). The quartic potential "
        "makes the two wells, which are a little too wide. For digits, 12 x 12 units alone in a driven "
        "potential generate both classes and also mixtures. A constant potential generates "
        f"{say(constant['clear_percent'], 3)} % clear digits, {say(constant['inverted_percent'], 2)} % "
        "inverted, since linear forces in every segment cannot follow the split into two classes. With "
        "hidden units that have the field of the class during noising, and no field during generation, a "
        "driven potential generates clear digits, none inverted. A digit is clear if the shipped classifier "
        "is sure of 0 or 1 after enlargement to 28 x 28, and if its correlation with a training image "
        "exceeds 0.7.",
    )


CLAIMS = (
    Claim(13, "A driven protocol draws from two Gaussians, and zeros and ones on 12 x 12 units",
          "shown as figures", "Bösch et al., arXiv:2506.19136 (2025)", _runs, _verdict),
)  # fmt: skip

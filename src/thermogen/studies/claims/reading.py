"""The claim of Whitelam's thermodynamic classifier, beside what label units of a generator read."""

from __future__ import annotations

from dataclasses import asdict

from thermogen.data import load_split
from thermogen.studies.claims.base import UNTESTABLE, Claim, Figures, Finding, Lab, Plan, Run
from thermogen.studies.claims.runs import over, say, seeds
from thermogen.studies.classification import classify_images, evaluate_classification
from thermogen.studies.conditional_training import ConditionalSettings, conditional_model, train_conditional


def _run(plan: Plan, seed: int) -> Run:
    settings = ConditionalSettings.of(label_units=True, clusters=20 if plan.quick else 100, seed=seed)

    def work(lab: Lab) -> Figures:
        split = load_split() if plan.images is None else plan.images
        model = conditional_model(split.training, settings, train_conditional(split.training, settings))
        shown = split.held_out.first(1000)
        return {
            "right": evaluate_classification(classify_images(model, shown, seed=seed), shown)["right"][
                "mean"
            ],
            "learnt": len(split.training),
            "shown": len(shown),
        }

    data = None if plan.images is None else plan.images.training.sha256
    return Run(f"reading-{seed}", {"settings": asdict(settings), "data": data}, work)


def _runs(plan: Plan) -> list[Run]:
    return [_run(plan, seed) for seed in seeds(plan.seeds)]


def _judge(plan: Plan, results: dict[str, Figures]) -> Finding:
    names = [run.key for run in _runs(plan)]
    right = over(results, names, "right", 100)
    counts = results[names[0]]
    return Finding(
        UNTESTABLE,
        f"label units classify {say(right, 3)} % of {counts['shown']} held-out images correctly, after "
        f"training on {counts['learnt']}",
        {"right_percent": right, "learnt": counts["learnt"], "shown": counts["shown"]},
        "The teacher–student training of that classifier is not part of this library. Here the label units "
        "of an exactly trained generator classify a clamped image. The interval is over seeds of clusters "
        "and noise, on the same held-out images.",
    )


CLAIMS = (
    Claim(
        14,
        "A thermodynamic computer classifies digits",
        "92.0 % of MNIST",
        "Whitelam, arXiv:2509.15324 (2025)",
        _runs,
        _judge,
    ),
)

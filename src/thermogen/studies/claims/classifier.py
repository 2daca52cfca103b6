"""The claim of Whitelam's thermodynamic classifier, and the classification by label units of a generator."""

from __future__ import annotations

from dataclasses import asdict

from thermogen.data import load_split
from thermogen.storage.cache import ResultCache
from thermogen.studies.claims.base import UNTESTABLE, Claim, Figures, Finding, Plan, Run
from thermogen.studies.claims.runs import over, repeated, rows_of, say
from thermogen.studies.classification import classify_images, evaluate_classification
from thermogen.studies.conditional_training import ConditionalSettings, conditional_model, train_conditional


def _run(plan: Plan, seed: int) -> Run:
    settings = ConditionalSettings.of(label_units=True, clusters=20 if plan.quick else 100, seed=seed)

    def work(cache: ResultCache) -> Figures:
        split = load_split() if plan.images is None else plan.images
        model = conditional_model(split.training, settings, train_conditional(split.training, settings))
        shown = split.held_out.first(1000)
        right = evaluate_classification(classify_images(model, shown, seed=seed), shown)["right"]["mean"]
        return {"right": right, "learnt": len(split.training), "shown": len(shown)}

    data = None if plan.images is None else plan.images.training.sha256
    return Run(f"classification-{seed}", {"settings": asdict(settings), "data": data}, work)


def _verdict(plan: Plan, results: dict[str, Figures]) -> Finding:
    rows = rows_of(results, repeated(plan, _run))
    right = over(rows, "right", 100)
    counts = {name: rows[0][name] for name in ("learnt", "shown")}
    return Finding(
        UNTESTABLE,
        f"label units classify {say(right, 3)} % of {counts['shown']} held-out images correctly, after "
        f"training on {counts['learnt']}",
        {"right_percent": right, **counts},
        "The teacher–student training of that classifier is not part of this library. Here the label units "
        "of an exactly trained generator classify a clamped image. The interval is over seeds of clusters "
        "and noise, on the same held-out images.",
    )


SOURCE = "Whitelam, arXiv:2509.15324 (2025)"
CLAIMS = (
    Claim(14, "A thermodynamic computer classifies digits", "92.0 % of MNIST", SOURCE,
          lambda plan: repeated(plan, _run), _verdict),
)  # fmt: skip

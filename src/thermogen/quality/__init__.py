"""How good the images are."""

from thermogen.quality.classifier import Classifier, LeNet, Classification, load_classifier, save_classifier
from thermogen.quality.evaluation import Reference, controls, evaluate
from thermogen.quality.grey import grey
from thermogen.quality.measures import frechet
from thermogen.quality.prototypes import PrototypeScores, prototype_scores

__all__ = [
    "Classifier",
    "LeNet",
    "PrototypeScores",
    "Reference",
    "Classification",
    "controls",
    "evaluate",
    "frechet",
    "grey",
    "load_classifier",
    "prototype_scores",
    "save_classifier",
]

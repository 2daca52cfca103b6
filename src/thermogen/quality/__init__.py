"""Quality of images: the classifier and the measures of image sets."""

from thermogen.quality.classifier import Classification, Classifier, LeNet, load_classifier, save_classifier
from thermogen.quality.evaluation import Reference, controls, evaluate
from thermogen.quality.grey import grey
from thermogen.quality.measures import frechet
from thermogen.quality.prototypes import PrototypeScores, prototype_scores

__all__ = [
    "Classification",
    "Classifier",
    "LeNet",
    "PrototypeScores",
    "Reference",
    "controls",
    "evaluate",
    "frechet",
    "grey",
    "load_classifier",
    "prototype_scores",
    "save_classifier",
]

"""Couplings and biases that change with time, and with the class or condition of a sample.

`Control` is what the simulator takes; a `Computer` is the constant one. `Segments` changes in time.
`PerClass` and `ConditionSet` give a control for a class or a condition.
"""

from thermogen.computer import Control
from thermogen.control.clamp import Clamp
from thermogen.control.condition_set import ConditionSet, LabelFields
from thermogen.control.modes import ModeTable
from thermogen.control.network import ModeNetwork
from thermogen.control.per_class import PerClass
from thermogen.control.segments import Segments

__all__ = [
    "Clamp",
    "ConditionSet",
    "Control",
    "LabelFields",
    "ModeNetwork",
    "ModeTable",
    "PerClass",
    "Segments",
]

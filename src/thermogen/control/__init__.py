"""Couplings and biases that change: with time, and with what is asked for.

A control is what the simulator takes: something whose `at(t)` is the computer in force at time t of
generation. A `Computer` is the constant control. `PerClass` and `ConditionSet` controls give such a one for
a class or a condition.
"""

from thermogen.control.base import Control, couplers, parts, reverse_gradient
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
    "couplers",
    "parts",
    "reverse_gradient",
]

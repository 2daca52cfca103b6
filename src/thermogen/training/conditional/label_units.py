"""One set of couplings for all conditions; fields on label units select the condition.

Exact training in shared modes with one M for all conditions and biases b_c of their own (the loss is
quadratic, C' and U' are the means over conditions of `thermogen.training.conditional.modes`),

    M C' + C' M = -(U' + U'^T),

and the biases come from label units, at +z for the requested condition and -z for the others, with couplings

    L_c = (b_c - b) / 2z,   sum_l L_l x_l = b_c - b,   b the mean of the b_c.

The image exerts a force on the label units: one at |z| is displaced by L_c . x / s, s = 2 J2 + 12 J4 z^2.
To first order that is a coupling -L L^T / s among the visible units. J compensates it.
"""

from __future__ import annotations

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from thermogen.computer import Computer, make_computer
from thermogen.control import LabelFields
from thermogen.couplings import BlockCouplings, Units
from thermogen.errors import require
from thermogen.training.conditional.modes import ModeStatistics, lyapunov, within

_LARGEST = 10_000  # pairs: 800 MB in float64


def check_size(units: Units) -> None:
    """InputError for too many visible units to couple all their pairs."""
    require(
        units.visible <= _LARGEST,
        f"{units.visible} visible units, and label units need all their pairs coupled: give images of "
        f"{_LARGEST} pixels or less",
    )


def solve_label_fields(
    computer: Computer,
    statistics: list[ModeStatistics],
    basis: Float[np.ndarray, "N r"],
    classes: Int[np.ndarray, " K"],
    shown: Float[np.ndarray, "K N"],
    *,
    held_at: float = 2.0,
) -> LabelFields:
    """The optimum of one set of couplings for all conditions, with a label (output) unit for each of them.

        computer    of the visible units
        statistics  of `mode_statistics`, in one segment
        basis       of these statistics, (N, r)
        classes     of the conditions, (K,)
        shown       mean state of the images of each condition, (K, N)
        held_at     z, the position of label units

    The bias of a label unit is that of the linear discriminant, -(b_c . shown_c / 2 + kT log w_c) / 2z, so
    that without fields `studies.classification` finds the class of clamped images. J_ii adds J_ii / 2 to J2
    of the visible units, from the start of a run.
    Raises InputError for several segments, hidden units, too many units, or z <= 0.
    Cost: an (N, N) matrix in float64.
    """
    check_size(computer.units)
    require(held_at > 0, f"held_at = {held_at:g}: give a positive position of held label units")
    count, units = len(statistics), computer.units
    require(count == 1, f"{count} segments of time: fields on label units do not change, give one")
    require(units.total == units.visible, "label units are added to visible units: give a computer of those")
    (means,) = statistics
    weights = means.images / means.images.sum()
    second, cross = (np.tensordot(weights, moment, 1) for moment in within(means, basis))
    mixing = lyapunov(second, cross)
    bias = -(means.drive + means.mean @ basis @ mixing @ basis.T) / means.duration
    middle = bias.mean(0)
    labels = (bias - middle).T / (2 * held_at)
    J2, J4, mobility = computer.alike()
    stiffness = 2 * J2 + 12 * J4 * held_at**2
    visible = basis @ mixing @ basis.T + labels @ labels.T / stiffness
    diagonal = np.diagonal(visible).copy()
    np.fill_diagonal(visible, 0)
    kT, dtype = float(computer.kT), computer.bias.dtype
    score = (bias * shown).sum(1) / 2 + kT * np.log(weights)
    label_bias = -(score - score.mean()) / (2 * held_at)
    blocks = {"visible-visible": jnp.asarray(visible, dtype), "visible-output": jnp.asarray(labels, dtype)}
    couplings = BlockCouplings(Units(units.visible, output=len(classes)), blocks)
    reference = make_computer(couplings, J2=J2, J4=J4, kT=kT, mobility=mobility)
    changed = (
        reference.J2.at[: units.visible].add(jnp.asarray(diagonal / 2, dtype)),
        jnp.asarray(np.concatenate([middle, label_bias]), dtype),
    )
    force = 2 * J2 * held_at + 4 * J4 * held_at**3
    fields = np.zeros((len(classes), units.visible + len(classes)))
    fields[:, units.visible :] = force * (2 * np.eye(len(classes)) - 1) + label_bias
    return LabelFields(
        reference=eqx.tree_at(lambda c: (c.J2, c.bias), reference, changed),
        fields=jnp.asarray(fields, dtype),
        weights=jnp.asarray(weights, dtype),
        classes=tuple(int(label) for label in classes),
    )

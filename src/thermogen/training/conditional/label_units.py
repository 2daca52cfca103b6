"""One set of couplings for all conditions; a condition is asked for by fields that hold label units.

Exact training in shared modes with one M for all conditions and biases b_c of their own (the loss is
quadratic, C' and U' are the means over conditions of `thermogen.training.conditional.modes`),

    M C' + C' M = -(U' + U'^T),

and the biases made by label units at +z for the condition asked for and -z for the others, through couplings

    L_c = (b_c - b) / 2z,   sum_l L_l x_l = b_c - b,   b the mean of the b_c.

The image pulls the label units in turn: a unit held at |z| gives way by L_c . x / s, s = 2 J2 + 12 J4 z^2.
To first order that is a coupling -L L^T / s among the visible units, which J makes good.
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
    """InputError for more visible units than can have all their pairs coupled."""
    require(
        units.visible <= _LARGEST,
        f"{units.visible} visible units, all pairs of which label units need coupled: give images of "
        f"{_LARGEST} pixels or less",
    )


def solve_label_fields(
    computer: Computer,
    known: list[ModeStatistics],
    basis: Float[np.ndarray, "N r"],
    classes: Int[np.ndarray, " K"],
    shown: Float[np.ndarray, "K N"],
    *,
    held_at: float = 2.0,
) -> LabelFields:
    """The optimum of one set of couplings for all conditions, with a label (output) unit for each of them.

    `computer` is that of the visible units, `classes` (K,) the class of every condition, `shown` the mean
    state of its images; `held_at` is z. A label unit without a field leans towards its condition by how
    probable the image makes it: its bias is that of the linear discriminant,
    -(b_c . shown_c / 2 + kT log w_c) / 2z, so that `studies.classification` reads the class
    of clamped images.
    The visible units carry their diagonal J_ii as J_ii / 2 of J2, from the start of a run on.
    Raises InputError for more than one segment of time, hidden units, too many units, or z <= 0.
    Cost: an (N, N) matrix in float64.
    """
    check_size(computer.units)
    require(held_at > 0, f"held_at = {held_at:g}: give a positive position of held label units")
    require(len(known) == 1, f"{len(known)} segments of time: fields on label units do not change, give one")
    units = computer.units
    require(units.total == units.visible, "label units are added to visible units: give a computer of those")
    (one,) = known
    weights = one.images / one.images.sum()
    second, cross = (np.tensordot(weights, part, 1) for part in within(one, basis))
    mixing = lyapunov(second, cross)
    bias = -(one.drive + one.mean @ basis @ mixing @ basis.T) / one.duration
    middle = bias.mean(0)
    labels = (bias - middle).T / (2 * held_at)
    J2, J4, mobility = computer.alike()
    stiffness = 2 * J2 + 12 * J4 * held_at**2
    among = basis @ mixing @ basis.T + labels @ labels.T / stiffness
    extra = np.diagonal(among).copy()
    np.fill_diagonal(among, 0)
    score = (bias * shown).sum(1) / 2 + float(computer.kT) * np.log(weights)
    lean = -(score - score.mean()) / (2 * held_at)
    whole = Units(units.visible, output=len(classes))
    dtype = computer.bias.dtype
    blocks = {"visible-visible": jnp.asarray(among, dtype), "visible-output": jnp.asarray(labels, dtype)}
    kT = float(computer.kT)
    reference = make_computer(BlockCouplings(whole, blocks), J2=J2, J4=J4, kT=kT, mobility=mobility)
    reference = eqx.tree_at(
        lambda c: (c.J2, c.bias),
        reference,
        (
            reference.J2.at[: units.visible].add(jnp.asarray(extra / 2, dtype)),
            jnp.asarray(np.concatenate([middle, lean]), dtype),
        ),
    )
    force = 2 * J2 * held_at + 4 * J4 * held_at**3
    fields = np.zeros((len(classes), whole.total))
    fields[:, units.visible :] = force * (2 * np.eye(len(classes)) - 1) + lean
    return LabelFields(
        reference=reference,
        fields=jnp.asarray(fields, dtype),
        weights=jnp.asarray(weights, dtype),
        classes=tuple(int(label) for label in classes),
    )
